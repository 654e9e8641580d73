/** What a run folder holds: sizes before and after, curves, layers, removals and settings. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import {
  type Column,
  DataTable,
  element,
  formatBytes,
  formatCount,
  formatNumber,
  svg,
} from '@paoding/core';
import baseStyles from '@paoding/core/base.css';
import {
  parsePlan,
  parseReport,
  type Removed,
  type RunPlan,
  type RunReport,
} from '@paoding/core/keras';
import { sentence } from '../viewer/panel';
import viewerStyles from '../viewer/viewer.css';
import runStyles from './run.css';

export interface RunDeeds {
  go(): void;
  /** Null where the folder does not hold the original. */
  compare: (() => void) | null;
  /** Every candidate of the run; null where the folder has no log. */
  decisions: (() => Promise<HTMLElement>) | null;
}

export function runView(
  planText: string,
  reportText: string,
  trans: TranslationBundle,
  deeds: RunDeeds,
): Widget {
  const plan = parsePlan(planText);
  const report = parseReport(reportText);
  const node = element(
    'div',
    { class: 'paoding-view paoding-run' },
    element('style', {}, baseStyles + viewerStyles + runStyles),
    header(report, plan, trans, deeds),
    element(
      'div',
      { class: 'paoding-run-charts' },
      chart(
        trans.__('Share of the target reached'),
        report.steps.map((step) => step.progress),
      ),
      chart(
        trans.__('Units removed in each step'),
        report.steps.map((step) => step.removed),
      ),
      chart(
        trans.__('Energy'),
        report.steps.map((step) => step.energy ?? Number.NaN),
      ),
      chart(
        trans.__('Seconds of each step'),
        report.steps.map((step) => step.seconds),
      ),
    ),
    ...(deeds.decisions ? [decisions(deeds.decisions, trans)] : []),
    element(
      'div',
      { class: 'paoding-run-tables' },
      section(trans.__('Layers'), layers(report, trans)),
      section(trans.__('Removals'), removals(plan, trans)),
      section(trans.__('Measured'), measured(report, trans)),
      section(trans.__('Settings'), element('pre', {}, JSON.stringify(plan.settings, null, 2))),
    ),
  );
  return new Widget({ node });
}

/** The log is long and rarely asked for: it is read when its part is opened. */
function decisions(read: () => Promise<HTMLElement>, trans: TranslationBundle): HTMLElement {
  const place = element('div', { role: 'status' }, trans.__('Reading the log ...'));
  const summary = trans.__('Decisions: every candidate, and why it went or stayed');
  const part = element(
    'details',
    { class: 'paoding-run-decisions', 'aria-label': trans.__('Decisions') },
    element('summary', {}, summary),
    place,
  );
  const open = (): void => {
    read().then(
      (view) => place.replaceChildren(view),
      (error: unknown) => {
        place.textContent = sentence(error, trans);
      },
    );
  };
  part.addEventListener('toggle', open, { once: true });
  return part;
}

function section(title: string, content: HTMLElement): HTMLElement {
  return element('section', { 'aria-label': title }, element('h3', {}, title), content);
}

function header(
  report: RunReport,
  plan: RunPlan,
  trans: TranslationBundle,
  deeds: RunDeeds,
): HTMLElement {
  const { before, after, certificate } = report;
  const change = (a: number, b: number, text: (value: number) => string): string => {
    const percent = a > 0 ? ` (−${((100 * (a - b)) / a).toFixed(1)} %)` : '';
    return `${text(a)} → ${text(b)}${percent}`;
  };
  const ends = [certificate?.lower ?? 0, certificate?.upper ?? 0].map(formatNumber);
  const certified = !certificate
    ? trans.__('no certificate: %1', report.reason || '–')
    : certificate.scores
      ? trans.__('scores within [%1, %2]', ...ends)
      : trans.__('outputs within [%1, %2]', ...ends);
  const rows: [string, string][] = [
    [trans.__('Parameters'), change(before.parameters, after.parameters, formatCount)],
    [trans.__('FLOPs'), change(before.flops, after.flops, formatCount)],
    [trans.__('Size'), change(before.bytes, after.bytes, formatBytes)],
    [trans.__('Steps'), formatCount(plan.steps)],
    [trans.__('Units removed'), formatCount(plan.removed.length)],
    [trans.__('Certified change'), certified],
  ];
  const button = (text: string, act: () => void, primary = false): HTMLElement => {
    const made = element(
      'button',
      { type: 'button', class: primary ? 'paoding-primary' : '' },
      text,
    );
    made.addEventListener('click', act);
    return made;
  };
  return element(
    'header',
    { class: 'paoding-viewer-header' },
    element('h2', {}, report.model),
    element(
      'dl',
      {},
      ...rows.map(([name, value]) =>
        element('div', {}, element('dt', {}, name), element('dd', {}, value)),
      ),
    ),
    element(
      'div',
      { class: 'paoding-viewer-tools' },
      ...(deeds.compare ? [button(trans.__('Compare with the Original'), deeds.compare)] : []),
      button(trans.__('Continue in a Notebook'), deeds.go, true),
    ),
  );
}

const [WIDTH, HEIGHT, BASE, LEFT] = [260, 110, 92, 44];

/** Curves of more steps have no dots. */
const MOST_DOTS = 200;

/** One value for each step, as a line with its points; the numbers stand beside it in words. */
function chart(title: string, values: number[]): HTMLElement {
  const known = values.flatMap((value, step) => (Number.isFinite(value) ? [{ step, value }] : []));
  const figure = element('figure', {}, element('figcaption', {}, title));
  if (known.length === 0) {
    figure.hidden = true;
    return figure;
  }
  const numbers = known.map(({ value }) => value);
  const low = numbers.reduce((least, value) => Math.min(least, value), 0);
  const high = numbers.reduce((most, value) => Math.max(most, value), low + 1e-12);
  const x = (step: number) => LEFT + ((WIDTH - LEFT - 6) * step) / Math.max(1, values.length - 1);
  const y = (value: number) => BASE - ((BASE - 8) * (value - low)) / (high - low);
  const points = known.map(({ step, value }) => `${x(step)},${y(value)}`).join(' ');
  const last = known.at(-1)?.value ?? Number.NaN;
  const label = `${title}: ${formatNumber(numbers[0] ?? 0)} → ${formatNumber(last)}`;
  figure.append(
    svg(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label },
      svg('title', {}, label),
      svg('line', { x1: LEFT - 6, x2: WIDTH, y1: BASE, y2: BASE, class: 'paoding-axis' }),
      svg('polyline', { points, class: 'paoding-curve' }),
      ...(known.length > MOST_DOTS ? [] : known).map(({ step, value }) =>
        svg('circle', { cx: x(step), cy: y(value), r: 2, class: 'paoding-bar' }),
      ),
      svg('text', { x: LEFT - 8, y: 12, 'text-anchor': 'end' }, formatNumber(high)),
      svg('text', { x: LEFT - 8, y: BASE, 'text-anchor': 'end' }, formatNumber(low)),
      svg('text', { x: LEFT, y: HEIGHT - 4 }, '1'),
      svg('text', { x: WIDTH - 2, y: HEIGHT - 4, 'text-anchor': 'end' }, String(values.length)),
    ),
  );
  return figure;
}

function layers({ layers: rows }: RunReport, trans: TranslationBundle): HTMLElement {
  const table = new DataTable({ label: trans.__('Layers') });
  const at = (row: number) => rows[row] as RunReport['layers'][number];
  const columns: Column[] = [
    { title: trans.__('Layer'), text: (row) => at(row).layer, key: (row) => at(row).layer },
    {
      title: trans.__('Units left'),
      numeric: true,
      text: (row) => `${formatCount(at(row).left)} / ${formatCount(at(row).units)}`,
      key: (row) => at(row).left / (at(row).units || 1),
    },
    {
      title: trans.__('Why it stays'),
      text: (row) => at(row).reason,
      key: (row) => at(row).reason,
    },
  ];
  table.setData(columns, rows.length);
  return table.root;
}

function removals({ removed }: RunPlan, trans: TranslationBundle): HTMLElement {
  const table = new DataTable({ label: trans.__('Removals') });
  const at = (row: number) => removed[row] as Removed;
  const number = (title: string, of: (one: Removed) => number | null): Column => ({
    title,
    numeric: true,
    text: (row) => String(of(at(row)) ?? '–'),
    key: (row) => of(at(row)) ?? Number.NaN,
  });
  const columns: Column[] = [
    number(trans.__('Step'), (one) => one.step),
    { title: trans.__('Layer'), text: (row) => at(row).group, key: (row) => at(row).group },
    number(trans.__('Unit'), (one) => one.unit),
    number(trans.__('Into'), (one) => one.into),
    {
      title: trans.__('Taken over by'),
      text: (row) => at(row).method,
      key: (row) => at(row).method,
    },
  ];
  table.setData(columns, removed.length);
  return table.root;
}

function measured({ measured: rows }: RunReport, trans: TranslationBundle): HTMLElement {
  if (rows.length === 0) return element('p', {}, trans.__('Nothing was measured in this run.'));
  return element(
    'dl',
    {},
    ...rows.map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, formatNumber(value))),
    ),
  );
}
