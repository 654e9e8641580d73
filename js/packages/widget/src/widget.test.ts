import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import view from './index';
import type { Model, Traits } from './traits';

/** A model as anywidget hands it out, without a kernel behind it. */
class MockModel {
  private handlers = new Map<string, Set<() => void>>();
  sent: unknown[] = [];
  saved = 0;

  constructor(public state: Traits) {}

  get<K extends keyof Traits>(name: K): Traits[K] {
    return this.state[name];
  }

  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.state[name] = value;
    for (const act of this.handlers.get(`change:${name}`) ?? []) act();
  }

  save_changes(): void {
    this.saved++;
  }

  on(event: string, act: () => void): void {
    this.handlers.set(event, (this.handlers.get(event) ?? new Set()).add(act));
  }

  off(event: string, act: () => void): void {
    this.handlers.get(event)?.delete(act);
  }

  send(content: unknown): void {
    this.sent.push(content);
  }

  trigger(event: string): void {
    for (const act of this.handlers.get(event) ?? []) act();
  }

  get listeners(): number {
    return [...this.handlers.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

const int32 = (...values: number[]): DataView => new DataView(Int32Array.from(values).buffer);
const float32 = (...values: number[]): DataView => new DataView(Float32Array.from(values).buffer);
const float64 = (...values: number[]): DataView => new DataView(Float64Array.from(values).buffer);
const EVIL = '<img src=x onerror=alert(1)>';

function traits(): Traits {
  const node = { detail: '', parameters: 0, note: '', op: 'Dense' };
  const numbers = ['importance', 'amount', 'evenness', 'energy', 'temperature', 'probability'];
  return {
    mode: 'studio',
    filters: [],
    scene: {
      name: 'net',
      nodes: [
        { ...node, name: 'in', op: 'Input', inputs: [], units: 0, group: -1 },
        { ...node, name: EVIL, inputs: [0], units: 3, group: 0 },
      ],
      groups: [{ name: EVIL, units: 3, prunable: true, reason: '', start: 0 }],
    },
    units: {
      removed_at: int32(-1, 0, -1),
      into: int32(-1, 2, -1),
      importance: float32(0.5, Number.NaN, 0.25),
      free: new DataView(Uint8Array.of(0, 0, 1).buffer),
    },
    header: {
      name: EVIL,
      state: 'paused',
      message: 'step 1',
      error: '',
      figures: [{ label: 'Parameters', before: 1000, after: 800, kind: 'count' }],
      progress: 0.25,
      estimate: '',
      prior: '',
      working: null,
      saved: '',
      fitted: 'data-free',
    },
    moment: 1,
    last: 1,
    planned: 8,
    runs: [],
    remarks: ['nothing removed', 'a third removed'],
    branchable: true,
    decisions: {
      step: 0,
      count: 2,
      omitted: 0,
      groups: [EVIL],
      verdicts: ['removed', 'rejected', 'not reached'],
      reasons: ['least saliency', 'worse'],
      columns: {
        group: int32(0, 0),
        unit: int32(1, 2),
        into: int32(2, -1),
        verdict: int32(0, 1),
        reason: int32(0, 1),
        ...Object.fromEntries(numbers.map((name) => [name, float64(0.5, 0.75)])),
      },
    },
    selected: { node: -1, unit: -1 },
    inspected: { node: -1, layer: null, unit: null },
    layers: [
      {
        node: 1,
        group: 0,
        name: EVIL,
        op: 'Dense',
        units: 3,
        left: 2,
        parameters: 12,
        parameters_left: 8,
        prunable: true,
        reason: '',
      },
      {
        node: 0,
        group: -1,
        name: 'scores',
        op: 'Dense',
        units: 2,
        left: 2,
        parameters: 8,
        parameters_left: 8,
        prunable: false,
        reason: 'it is an output',
      },
    ],
    locked: [],
    targets: {},
    target: 0.5,
    editable: true,
    page_visible: true,
  };
}

let model: MockModel;
let stop: () => void;

function show(state = traits()): HTMLElement {
  model = new MockModel(state);
  const el = document.createElement('div');
  document.body.append(el);
  stop = view.render({ model: model as unknown as Model, el });
  return el;
}

const text = (selector: string): string => document.querySelector(selector)?.textContent ?? '';
const tab = (name: string): HTMLElement =>
  [...document.querySelectorAll<HTMLElement>('[role=tab]')].find(
    (one) => one.textContent === name,
  ) as HTMLElement;

beforeEach(() => {
  // Whatever is worth a warning in the console is a fault.
  vi.spyOn(console, 'warn').mockImplementation((...words) => {
    throw new Error(words.join(' '));
  });
  vi.spyOn(console, 'error').mockImplementation((...words) => {
    throw new Error(words.join(' '));
  });
});

afterEach(() => {
  stop();
  document.body.replaceChildren();
  vi.restoreAllMocks();
});

test('the head says state, numbers before and after, and what is going on', () => {
  show();
  expect(text('.paoding-state')).toContain('paused');
  expect(text('.paoding-figures')).toBe('Parameters1,000 → 800 −20 %');
  expect(document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')).toBe('25');
  const bar = document.querySelector<HTMLElement>('.paoding-progress-bar');
  expect(bar?.style.width).toBe('25%');
  expect(document.querySelector('[role=status]')?.getAttribute('aria-live')).toBe('polite');
  expect(text('[role=status]')).toBe('paused. step 1');
});

test('a mistake is told in an alert, and goes when it is put right', () => {
  show();
  const alert = document.querySelector<HTMLElement>('[role=alert]') as HTMLElement;
  expect(alert.hidden).toBe(true);
  model.set('header', { ...traits().header, state: 'failed', error: 'step is larger' });
  expect(alert.hidden).toBe(false);
  expect(alert.textContent).toBe('step is larger');
});

test('what was estimated without data is told as estimated, and only once it is known', () => {
  show();
  const line = document.querySelector<HTMLElement>('.paoding-estimate');
  expect(line?.hidden).toBe(true);
  model.set('header', {
    ...traits().header,
    estimate: `same answer on 87% ${EVIL}`,
    prior: 'Blobs.',
  });
  expect(line?.hidden).toBe(false);
  expect(line?.textContent).toContain(`estimated Without data: same answer on 87% ${EVIL}.`);
  expect(line?.querySelector('details')?.textContent).toContain('Blobs.');
  expect(line?.querySelector('img')).toBeNull();
});

test('a running count is not read aloud at every step', () => {
  show();
  model.set('header', { ...traits().header, state: 'running', message: 'step 2' });
  expect(text('[role=status]')).toBe('running. step 2');
  model.set('header', { ...traits().header, state: 'running', message: 'step 3' });
  expect(text('[role=status]')).toBe('running. step 2');
  model.set('header', { ...traits().header, state: 'finished', message: 'done' });
  expect(text('[role=status]')).toBe('finished. done');
});

test('names from a model are text, never HTML', () => {
  const el = show();
  expect(el.querySelector('img')).toBeNull();
  expect(text('.paoding-name')).toBe(EVIL);
});

test('the slider shows an earlier moment, from which a run can begin', () => {
  show();
  const slider = document.querySelector<HTMLInputElement>('.paoding-slider') as HTMLInputElement;
  const branch = document.querySelector<HTMLButtonElement>('.paoding-branch') as HTMLButtonElement;
  expect(branch.style.visibility).toBe('hidden');
  slider.value = '0';
  slider.dispatchEvent(new Event('input'));
  expect(model.get('moment')).toBe(0);
  expect(model.saved).toBeGreaterThan(0);
  expect(text('.paoding-moment')).toBe('Original · nothing removed');
  expect(branch.style.visibility).toBe('');
  branch.click();
  expect(model.sent).toEqual([{ action: 'branch', moment: 0 }]);
});

test('tabs are walked with arrow keys and show one page at a time', () => {
  show();
  tab('Layers').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }));
  expect(tab('Runs').getAttribute('aria-selected')).toBe('true');
  const shown = [...document.querySelectorAll<HTMLElement>('[role=tabpanel]')].filter(
    (page) => !page.hidden,
  );
  expect(shown.map((page) => page.getAttribute('aria-label'))).toEqual(['Runs']);
});

test('decisions can be filtered by verdict and by text', () => {
  show();
  const rows = (): number =>
    document.querySelectorAll('.paoding-table tbody [aria-rowindex]').length;
  expect(rows()).toBe(2);
  const verdict = document.querySelector<HTMLSelectElement>('[aria-label=Verdict]');
  if (verdict) {
    verdict.selectedIndex = 2;
    verdict.dispatchEvent(new Event('change'));
  }
  expect(rows()).toBe(1);
  expect(text('.paoding-table tbody [aria-rowindex]')).toContain('worse');
});

test('a row of the decisions chooses its unit', () => {
  show();
  document.querySelector<HTMLElement>('.paoding-table tbody [aria-rowindex]')?.click();
  expect(model.get('selected')).toEqual({ node: 1, unit: 1 });
});

test('a chosen unit opens its page, with what is certified told from what is estimated', () => {
  show();
  model.set('selected', { node: 1, unit: 0 });
  model.set('inspected', {
    node: 1,
    layer: { title: EVIL, facts: [], note: '', group: 0, members: ['next: reads the units'] },
    unit: {
      title: 'unit 0',
      facts: [{ label: 'Outputs move', value: 'within [-1, 1]', tag: 'certified' }],
      story: 'It is still here.',
      group: 0,
      alike: [{ unit: 2, distance: 0.25 }],
      name: EVIL,
      unit: 0,
      rivals: [
        { unit: 2, value: 0.25, place: 1, of: 2 },
        { unit: 0, value: 0.5, place: 2, of: 2 },
      ],
      pictures: [{ title: 'unit 0', rows: 1, columns: 2, values: [0.5, null] }],
      gone: false,
      can_go: true,
      can_return: false,
      kept: false,
      can_keep: true,
      later: 0,
      late: false,
    },
  });
  expect(tab('Unit').getAttribute('aria-selected')).toBe('true');
  expect(text('.paoding-tag-certified')).toBe('certified');
  expect(text('.paoding-story')).toBe('It is still here.');
  document.querySelector<HTMLElement>('.paoding-details ol .paoding-link')?.click();
  expect(model.get('selected')).toEqual({ node: 1, unit: 2 });
});

test('a layer can be locked and given a target of its own', () => {
  show();
  const box = document.querySelector<HTMLInputElement>('.paoding-layers [type=checkbox]');
  const field = document.querySelector<HTMLInputElement>('.paoding-target');
  if (!box || !field) throw new Error('the table of layers is not there');
  field.value = '0.25';
  field.dispatchEvent(new Event('change'));
  expect(model.get('targets')).toEqual({ [EVIL]: 0.25 });
  box.checked = true;
  box.dispatchEvent(new Event('change'));
  expect(model.get('locked')).toEqual([EVIL]);
  expect(text('.paoding-layers')).toContain('kept: it is an output');
});

test('locks and targets rest while a run is going', () => {
  show({ ...traits(), editable: false });
  for (const input of document.querySelectorAll<HTMLInputElement>('.paoding-layers input')) {
    expect(input.disabled).toBe(true);
  }
});

test('the structure alone has neither head nor timeline', () => {
  show({ ...traits(), mode: 'structure' });
  expect(document.querySelector('.paoding-canvas')).not.toBeNull();
  expect(document.querySelector('.paoding-header')).toBeNull();
  expect(document.querySelector('.paoding-timeline')).toBeNull();
});

test('a view that is let go listens to nothing any more', () => {
  const el = show();
  stop();
  expect(el.children.length).toBe(0);
  expect(model.listeners).toBe(0);
});

test('two views of one model share nothing', () => {
  const first = show();
  const second = document.createElement('div');
  document.body.append(second);
  const stopSecond = view.render({ model: model as unknown as Model, el: second });
  stopSecond();
  model.set('header', { ...traits().header, message: 'still here' });
  expect(first.querySelector('.paoding-message')?.textContent).toBe('still here');
});

test('a button that was disabled while it worked gets the focus back', async () => {
  const studio = document.createElement('div');
  studio.className = 'paoding-studio';
  document.body.append(studio);
  studio.append(show());
  const step = document.createElement('button');
  studio.append(step);
  step.focus();
  step.click();
  step.blur();
  step.disabled = true;
  await Promise.resolve();
  expect(document.activeElement).not.toBe(step);
  step.disabled = false;
  await vi.waitFor(() => expect(document.activeElement).toBe(step));
  tab('Unit').focus();
  step.disabled = true;
  step.disabled = false;
  await new Promise((resolve) => setTimeout(resolve));
  expect(document.activeElement).toBe(tab('Unit'));
});

test('a unit is removed, merged and taken back by hand', () => {
  show();
  const details = {
    title: 'layer, unit 1 of 3',
    facts: [],
    story: 'It stays.',
    group: 0,
    alike: [{ unit: 2, distance: 0.25 }],
    name: 'layer',
    unit: 1,
    rivals: [{ unit: 1, value: 0.25, place: 1, of: 2 }],
    pictures: [],
    gone: false,
    can_go: true,
    can_return: false,
    kept: false,
    can_keep: true,
    later: 0,
    late: false,
  };
  const press = (text: string): void => {
    const all = [...document.querySelectorAll<HTMLButtonElement>('.paoding-acts button')];
    all.find((one) => one.textContent === text)?.click();
  };
  model.set('inspected', { node: 1, layer: null, unit: details });
  press('Remove');
  press('Merge into 2');
  model.set('inspected', { node: 1, layer: null, unit: { ...details, gone: true } });
  press('Take back'); // looked at in the past: it can't be
  model.set('inspected', {
    node: 1,
    layer: null,
    unit: { ...details, gone: true, can_return: true },
  });
  press('Take back');
  const back = { ...details, gone: true, can_return: true, later: 2 };
  model.set('inspected', { node: 1, layer: null, unit: back });
  const later = document.querySelector<HTMLSelectElement>('.paoding-acts select');
  if (later) later.value = 'anew';
  press('… and keep for good');
  model.set('inspected', { node: 1, layer: null, unit: { ...details, kept: true } });
  press('Release');
  expect(model.sent).toEqual([
    { name: 'layer', unit: 1, action: 'remove-unit' },
    { name: 'layer', unit: 1, action: 'remove-unit', into: 2 },
    { name: 'layer', unit: 1, action: 'take-back' },
    { name: 'layer', unit: 1, action: 'keep-unit', later: 'anew' },
    { name: 'layer', unit: 1, action: 'release-unit' },
  ]);
});

test('a lost kernel is told with the line that goes on, and nothing can be pressed', async () => {
  show();
  const lost = document.querySelector<HTMLElement>('.paoding-lost');
  expect(lost?.hidden).toBe(true);
  model.set('header', { ...traits().header, saved: 'runs/net-autosave' });
  model.trigger('comm_live_update'); // it came alive
  await Promise.resolve();
  expect(lost?.hidden).toBe(true);
  document.querySelector('.paoding-view')?.classList.add('jupyter-widgets-disconnected');
  model.trigger('comm_live_update');
  await Promise.resolve();
  expect(lost?.hidden).toBe(false);
  expect(lost?.textContent).toContain('PruningStudio.load("runs/net-autosave")');
  const slider = document.querySelector<HTMLInputElement>('.paoding-slider');
  expect(slider?.disabled).toBe(true);
});

test('runs are overlaid, renamed and deleted from their table', () => {
  show();
  const run = {
    name: 'run 2',
    present: true,
    overlaid: true,
    steps: 1,
    share: 0.1,
    accuracy: 0.9,
    robust: null,
    parameters: 800,
    flops: 1600,
    latency: 0.0012,
    metric: 'Mean error',
    shares: false,
    differs: 'strategy Magnitude',
  };
  model.set('runs', [run, { ...run, name: EVIL, present: false, differs: '' }]);
  expect(document.querySelector('.paoding-runs img')).toBeNull();
  expect(text('.paoding-runs thead')).toContain('Mean error');
  expect(text('.paoding-runs tbody')).toContain('1.2 ms');
  const box = document.querySelector<HTMLInputElement>('.paoding-runs input[type=checkbox]');
  box?.click();
  document.querySelector<HTMLButtonElement>('.paoding-runs button')?.click();
  expect(model.sent).toEqual([
    { action: 'overlay-run', name: EVIL, on: false },
    { action: 'delete-run', name: EVIL },
  ]);
});
