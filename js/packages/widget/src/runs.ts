/** The runs of a studio: each branch has a name, and can be overlaid, compared, renamed, deleted. */

import { element, formatCount, formatNumber } from '@paoding/core';
import { type Part, percent, watch } from './parts';
import type { Model, RunRow } from './traits';

const COLUMNS = ['Run', 'Accuracy', 'Robust', 'Parameters', 'FLOPs', 'Latency'] as const;
/** Which of the columns has the task's own metric. */
const METRIC = 1;

export function makeRuns(model: Model, signal: AbortSignal): Part {
  const body = element('tbody');
  const heads = COLUMNS.map((title) => element('th', { scope: 'col' }, title));
  const table = element(
    'table',
    { class: 'paoding-table paoding-runs', 'aria-label': 'Runs' },
    element('thead', {}, element('tr', {}, ...heads)),
    body,
  );
  const hint = element(
    'p',
    { class: 'paoding-note' },
    'Go back on the timeline and press Start from here: the run so far stays here under its name.',
  );
  watch(model, ['runs'], signal, () => {
    const rows = model.get('runs') ?? [];
    hint.hidden = rows.length > 1;
    const metric = heads[METRIC];
    if (metric) metric.textContent = rows[0]?.metric ?? 'Accuracy';
    if (!body.contains(document.activeElement)) {
      body.replaceChildren(...rows.flatMap((row) => makeRows(model, row)));
    }
  });
  body.addEventListener('focusout', () => {
    const again = (): void =>
      body.replaceChildren(...(model.get('runs') ?? []).flatMap((row) => makeRows(model, row)));
    setTimeout(() => body.contains(document.activeElement) || again());
  });
  const root = element('div', {}, hint, element('div', { class: 'paoding-table-scroll' }, table));
  return { root };
}

function makeRows(model: Model, row: RunRow): HTMLElement[] {
  const name = element('input', { type: 'text', 'aria-label': `Name of ${row.name}` });
  name.value = row.name;
  name.addEventListener('change', () =>
    model.send({ action: 'rename-run', name: row.name, to: name.value }),
  );
  const quality = (value: number | null): string =>
    value === null ? '–' : row.shares ? percent(value, 1) : formatNumber(value);
  const latency = row.latency === null ? '–' : `${formatNumber(1000 * row.latency)} ms`;
  const number = (text: string): HTMLElement => element('td', { class: 'paoding-number' }, text);
  const cells = element(
    'tr',
    {},
    element('th', { scope: 'row' }, name),
    number(quality(row.accuracy)),
    number(quality(row.robust)),
    number(formatCount(row.parameters)),
    number(formatCount(row.flops)),
    number(latency),
  );
  const told = [`${percent(row.share)} removed in ${row.steps} steps`, row.differs];
  const about = element(
    'td',
    { colspan: COLUMNS.length, class: 'paoding-differs' },
    ...(row.present
      ? ['this run · ']
      : [element('label', {}, overlayBox(model, row), ' in the charts'), ' · ']),
    told.filter(Boolean).join(' · '),
    ...(row.present ? [] : [' ', deleteButton(model, row)]),
  );
  return [cells, element('tr', {}, about)];
}

function overlayBox(model: Model, row: RunRow): HTMLElement {
  const box = element('input', { type: 'checkbox', 'aria-label': `Show ${row.name} in the chart` });
  box.checked = row.overlaid;
  box.addEventListener('change', () =>
    model.send({ action: 'overlay-run', name: row.name, on: box.checked }),
  );
  return box;
}

function deleteButton(model: Model, row: RunRow): HTMLElement {
  const label = `Delete ${row.name}`;
  const made = element('button', { type: 'button', 'aria-label': label }, 'delete');
  made.addEventListener('click', () => model.send({ action: 'delete-run', name: row.name }));
  return made;
}
