import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { drawFrame, drawOverview, type Frame, TileCache } from './draw';
import { Filters } from './filters';
import { branch, chain, deep, pruned } from './fixtures';
import { countBins, drawHistogram } from './histogram';
import { layoutScene } from './layout';
import { plain } from './say';
import { describe as describeScene, emptyState, type Scene } from './scene';
import { type Column, DataTable } from './table';
import { luminance, parseColour, readTheme, relativeImportance } from './theme';
import { StructureView } from './view';

/** A context that counts what is asked of it; happy-dom has none. */
function fakeContext(): CanvasRenderingContext2D & { calls: Record<string, number> } {
  const calls: Record<string, number> = {};
  const base = { calls, measureText: (text: string) => ({ width: 6 * text.length }) };
  return new Proxy(base as unknown as CanvasRenderingContext2D & { calls: typeof calls }, {
    get: (target, name: string) =>
      name in target
        ? target[name as keyof typeof target]
        : () => {
            calls[name] = (calls[name] ?? 0) + 1;
          },
    set: () => true,
  });
}

class FakePath {
  rect(): void {}
  moveTo(): void {}
  lineTo(): void {}
}

function frameOf(scene: Scene, more: Partial<Frame> = {}): Frame {
  return {
    scene,
    layout: layoutScene(scene),
    state: emptyState(scene),
    fade: 1,
    moment: 0,
    camera: { scale: 1, x: 0, y: 0 },
    width: 800,
    height: 400,
    theme: readTheme(document.body),
    marks: { selected: null, focused: null, hovered: null, found: null },
    tiles: new TileCache(),
    say: plain,
    ...more,
  };
}

beforeEach(() => {
  vi.stubGlobal('Path2D', FakePath);
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockImplementation(
    () => fakeContext() as unknown as null,
  );
});

afterEach(() => {
  document.body.replaceChildren();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('language', () => {
  test('every text of the view is said by the translator of its page', () => {
    const asked: string[] = [];
    const say = (text: string, ...values: (string | number)[]): string => {
      asked.push(text);
      return `«${plain(text, ...values)}»`;
    };
    const view = new StructureView(document.body, { say, saves: true });
    view.setScene(deep(30, 2));
    const texts = [...document.body.querySelectorAll('button, .paoding-legend span')]
      .map((one) => one.textContent ?? '')
      .filter((text) => /[a-z]{3}/i.test(text) && !/PNG|SVG/.test(text));
    expect(texts.length).toBeGreaterThan(5);
    for (const text of texts) expect(text).toMatch(/^«.*»$/);
    for (const one of document.body.querySelectorAll('[title], [aria-label]')) {
      const told = one.getAttribute('title') ?? one.getAttribute('aria-label') ?? '';
      expect(told).toMatch(/^«.*»$/);
    }
    expect(asked).toContain('Find a layer');
    expect(describeScene(chain(), emptyState(chain()), 0, { node: 1, unit: 2 }, say)).toBe(
      '«a, unit 2 of 6»',
    );
  });
});

describe('drawing', () => {
  test('units that can be compared are filled, the others are outlines', () => {
    const context = fakeContext();
    drawFrame(context, frameOf(chain(), { state: pruned(chain()), moment: 0 }));
    // The background and the six units of the layer that can be pruned.
    expect(context.calls.fillRect).toBe(7);
    expect(context.calls.strokeRect).toBe(4);
  });

  test('removed units are not filled, and the last merge is an arc', () => {
    const context = fakeContext();
    drawFrame(context, frameOf(chain(), { state: pruned(chain()), moment: 1 }));
    expect(context.calls.fillRect).toBe(6);
    expect(context.calls.quadraticCurveTo).toBe(1);
  });

  test('units of a first layer show their weights where they are large enough', () => {
    const values = new DataView(new Int8Array(6 * 9).fill(-5).buffer);
    const made = fakeContext();
    vi.mocked(HTMLCanvasElement.prototype.getContext).mockReturnValue({
      createImageData: (width: number, height: number) => ({
        data: new Uint8ClampedArray(4 * width * height),
      }),
      putImageData: (image: { data: Uint8ClampedArray }) => {
        expect([...image.data.slice(0, 4)]).toEqual([245, 245, 255, 255]);
      },
    } as unknown as null);
    const filters = new Filters([{ node: 1, rows: 3, columns: 3, values }]);
    const scene = chain();
    drawFrame(made, frameOf(scene, { filters }));
    expect(made.calls.drawImage).toBeUndefined();
    drawFrame(made, frameOf(scene, { filters, camera: { scale: 2, x: 0, y: 0 } }));
    expect(made.calls.drawImage).toBe(6);
  });

  test('a unit that never matters carries a mark of its own', () => {
    const marks = vi.spyOn(FakePath.prototype, 'rect');
    const state = pruned(chain());
    drawFrame(fakeContext(), frameOf(chain(), { state }));
    const before = marks.mock.calls.length;
    state.free[1] = 1;
    drawFrame(fakeContext(), frameOf(chain(), { state }));
    expect(marks.mock.calls.length).toBe(before * 2 + 1);
  });

  test('a merge shows on every layer that makes the coupled units', () => {
    const context = fakeContext();
    drawFrame(context, frameOf(branch(), { state: pruned(branch()), moment: 1 }));
    expect(context.calls.quadraticCurveTo).toBe(2);
  });

  test('a chosen unit is marked on every layer of its group', () => {
    const context = fakeContext();
    const selected = { node: 1, unit: 3 };
    const marks = { selected, focused: null, hovered: null, found: null };
    drawFrame(context, frameOf(branch(), { marks }));
    expect(context.calls.strokeRect).toBe(2);
  });

  test('only what is in the window is drawn', () => {
    const scene = deep(300, 1024);
    const context = fakeContext();
    drawFrame(context, frameOf(scene));
    const drawn = (context.calls.fillRect ?? 0) + (context.calls.drawImage ?? 0);
    expect(drawn).toBeLessThan(10 * 1024);
    expect(context.calls.roundRect).toBeLessThan(20);
  });

  test('seen from afar a layer is one picture', () => {
    const scene = deep(300, 1024);
    const context = fakeContext();
    drawFrame(context, frameOf(scene, { camera: { scale: 0.03, x: 0, y: 0 } }));
    expect(context.calls.drawImage).toBeGreaterThan(50);
    expect(context.calls.fillRect).toBe(1);
    expect(context.calls.fillText).toBeUndefined();
  });

  test('the strip below shows every layer', () => {
    const context = fakeContext();
    drawOverview(context, frameOf(chain()), 300, 34);
    expect(context.calls.fillRect).toBe(1 + 3);
  });
});

describe('theme', () => {
  test('colours are read in the notations that pages use', () => {
    expect(parseColour('#fff')).toEqual([255, 255, 255]);
    expect(parseColour('rgb(17, 17, 17)')).toEqual([17, 17, 17]);
    expect(parseColour('rgba(0, 0, 0, 0)')).toBeNull();
    expect(parseColour('')).toBeNull();
  });

  test('a dark page has a dark theme in which salient units stand out', () => {
    document.body.style.setProperty('--jp-layout-color0', '#111111');
    const dark = readTheme(document.body);
    document.body.style.setProperty('--jp-layout-color0', '#ffffff');
    const light = readTheme(document.body);
    document.body.style.removeProperty('--jp-layout-color0');
    expect([dark.dark, light.dark]).toEqual([true, false]);
    expect(luminance(dark.high)).toBeGreaterThan(luminance(dark.low));
    expect(luminance(light.high)).toBeLessThan(luminance(light.low));
  });

  test('a single outlier does not wash out the other importances', () => {
    const values = Float32Array.from({ length: 101 }, (_, i) => (i === 100 ? 1e6 : i));
    const relative = relativeImportance(values);
    expect(relative[50]).toBeCloseTo(0.5, 1);
    expect(relative[100]).toBe(1);
    expect(relativeImportance(new Float32Array([Number.NaN]))[0]).toBeNaN();
  });
});

describe('histogram', () => {
  test('bins hold every finite value', () => {
    const bins = countBins([0, 1, 2, 3, Number.NaN], 3);
    expect(bins?.counts).toEqual([1, 1, 2]);
    expect(countBins([Number.NaN])).toBeNull();
  });

  test('it says in words what it shows', () => {
    const svg = drawHistogram([1, 1, 2], 'Importance');
    expect(svg?.getAttribute('aria-label')).toContain('3 values from 1 to 2');
  });
});

describe('table', () => {
  const values = [3, 1, Number.NaN, 2];
  const columns: Column[] = [
    { title: 'Value', numeric: true, text: (r) => String(values[r]), key: (r) => values[r] ?? 0 },
    { title: 'Name', text: (r) => `<b>row ${r}</b>`, key: (r) => `row ${r}` },
  ];

  test('a heading sorts, and again the other way; unknown values stay last', () => {
    const table = new DataTable({ label: 'numbers' });
    table.setData(columns, 4);
    table.sortBy(0);
    expect(table.order).toEqual([1, 3, 0, 2]);
    table.sortBy(0);
    expect(table.order).toEqual([0, 3, 1, 2]);
    expect(table.root.querySelector('th')?.getAttribute('aria-sort')).toBe('descending');
  });

  test('a filter leaves the rows that pass', () => {
    const table = new DataTable({ label: 'numbers' });
    table.setData(columns, 4);
    table.setFilter((row) => row > 1);
    expect(table.order).toEqual([2, 3]);
  });

  test('names are text, never HTML', () => {
    const table = new DataTable({ label: 'numbers' });
    table.setData(columns, 1);
    expect(table.root.querySelector('b')).toBeNull();
    expect(table.root.textContent).toContain('<b>row 0</b>');
  });

  test('of thousands of rows only those in sight are made', () => {
    const table = new DataTable({ label: 'numbers' });
    table.setData(columns, 5000);
    expect(table.root.querySelectorAll('tbody tr').length).toBeLessThan(60);
    expect(table.root.querySelector('table')?.getAttribute('aria-rowcount')).toBe('5001');
  });
});

describe('view', () => {
  function makeView(): { view: StructureView; chosen: unknown[]; said: string[] } {
    const chosen: unknown[] = [];
    const said: string[] = [];
    const view = new StructureView(document.body, {
      onSelect: (selection) => chosen.push(selection),
      onAnnounce: (text) => said.push(text),
    });
    view.setScene(chain());
    return { view, chosen, said };
  }
  const press = (key: string): boolean =>
    document
      .querySelector('.paoding-canvas')
      ?.dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true })) ?? true;

  test('keys walk from layer to layer, choose one, and enter its units', () => {
    const { chosen, said } = makeView();
    for (const key of ['ArrowRight', 'ArrowRight', 'Enter']) press(key);
    expect(chosen).toEqual([{ node: 1, unit: -1 }]);
    expect(said.at(-1)).toContain('a, Dense, 6 units');
    for (const key of ['Enter', 'ArrowRight', 'Enter']) press(key);
    expect(chosen.at(-1)).toEqual({ node: 1, unit: 1 });
    press('Escape');
    expect(said.at(-1)).toContain('a, Dense');
  });

  test('keys that belong to the view do not reach the notebook', () => {
    makeView();
    expect(press('ArrowRight')).toBe(false);
    expect(press('a')).toBe(true);
    const root = document.querySelector('.paoding-structure');
    expect(root?.getAttribute('data-lm-suppress-shortcuts')).toBe('true');
  });

  test('a search says how many it has found and chooses the next with Enter', () => {
    const { chosen } = makeView();
    const field = document.querySelector<HTMLInputElement>('.paoding-search') as HTMLInputElement;
    field.value = 'dense';
    field.dispatchEvent(new Event('input'));
    expect(document.querySelector('.paoding-search-count')?.textContent).toBe('2 found');
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
    expect(chosen).toEqual([
      { node: 1, unit: -1 },
      { node: 3, unit: -1 },
    ]);
  });

  test('when it is let go nothing of it stays in the page', () => {
    const { view } = makeView();
    view.destroy();
    expect(document.body.children.length).toBe(0);
  });
});
