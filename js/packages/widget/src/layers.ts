/** The table of layers: a lock and a target of its own for each. */

import { element, formatCount } from '@paoding/core';
import { type Part, update, watch } from './parts';
import type { LayerRow, Model } from './traits';

/** Beyond this many rows only those that match the filter are made. */
const MAX_ROWS = 200;
const COLUMNS = [
  ['Layer', 'Every layer that has weights or units of its own'],
  ['Units', 'Neurons or filters that are left, of those in the original'],
  ['Parameters', 'Weights of the layer itself that are left; they add up to the model’s'],
  ['Lock', 'Keep every unit of the layer'],
  ['Target', 'Share of the layer to remove; empty: as for all'],
] as const;

export function makeLayers(
  model: Model,
  signal: AbortSignal,
  onChoose: (node: number) => void,
): Part {
  const body = element('tbody');
  const foot = element('tfoot');
  const filter = element('input', {
    type: 'search',
    placeholder: 'Filter layers',
    'aria-label': 'Filter layers',
    class: 'paoding-filter',
  });
  const note = element('p', { class: 'paoding-note' });
  const head = COLUMNS.map(([title, meaning]) =>
    element('th', { scope: 'col', title: meaning }, title),
  );
  const table = element(
    'table',
    { class: 'paoding-table paoding-layers', 'aria-label': 'Layers' },
    element('thead', {}, element('tr', {}, ...head)),
    body,
    foot,
  );
  const root = element(
    'div',
    {},
    element('div', { class: 'paoding-filters' }, filter, note),
    element('div', { class: 'paoding-table-scroll' }, table),
  );
  const render = (): void => {
    const query = filter.value.trim().toLowerCase();
    const rows = model.get('layers').filter((row) => row.name.toLowerCase().includes(query));
    body.replaceChildren(
      ...rows.slice(0, MAX_ROWS).map((row) => makeRow(model, row, () => onChoose(row.node))),
    );
    foot.replaceChildren(totalRow(model.get('layers')));
    const hidden = rows.length - MAX_ROWS;
    note.textContent = hidden > 0 ? `${hidden} more: type to narrow down` : editHint(model);
  };
  filter.addEventListener('input', render);
  watch(model, ['layers', 'locked', 'targets', 'target', 'editable'], signal, () => {
    // A field that is being typed in must not be replaced under the reader's hands.
    if (!body.contains(document.activeElement)) render();
  });
  body.addEventListener('focusout', (event) => {
    if (!body.contains(event.relatedTarget as Node | null)) queueMicrotask(render);
  });
  return { root };
}

function editHint(model: Model): string {
  return model.get('editable') ? '' : 'Pause the run to change locks and targets.';
}

function makeRow(model: Model, row: LayerRow, choose: () => void): HTMLElement {
  const name = element('button', { type: 'button', class: 'paoding-link' }, row.name);
  name.title = `${row.name} (${row.op})`;
  name.addEventListener('click', choose);
  const cells: (Node | string)[] = row.prunable
    ? [lockBox(model, row), targetField(model, row)]
    : [element('span', { class: 'paoding-kept', title: row.reason }, `kept: ${row.reason}`)];
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, name),
    element('td', { class: 'paoding-number' }, row.units ? leftOf(row.left, row.units) : ''),
    element(
      'td',
      { class: 'paoding-number', title: `${formatCount(row.parameters)} in the original` },
      formatCount(row.parameters_left),
    ),
    ...cells.map((cell) => element('td', cells.length === 1 ? { colspan: 2 } : {}, cell)),
  );
}

function leftOf(left: number, all: number): string {
  return left === all ? formatCount(all) : `${formatCount(left)} of ${formatCount(all)}`;
}

/** The sum over all layers, so that it can be checked against the head of the studio. */
function totalRow(rows: LayerRow[]): HTMLElement {
  const sum = (of: (row: LayerRow) => number): string =>
    formatCount(rows.reduce((total, row) => total + of(row), 0));
  const before = sum((row) => row.parameters);
  return element(
    'tr',
    { class: 'paoding-total' },
    element('th', { scope: 'row' }, 'Whole model'),
    element('td', {}),
    element(
      'td',
      { class: 'paoding-number', title: `${before} in the original` },
      sum((row) => row.parameters_left),
    ),
    element('td', { colspan: 2 }, `of ${before}`),
  );
}

function lockBox(model: Model, row: LayerRow): HTMLElement {
  const box = element('input', { type: 'checkbox', 'aria-label': `Lock ${row.name}` });
  box.checked = model.get('locked').includes(row.name);
  box.disabled = !model.get('editable');
  box.addEventListener('change', () => {
    const others = model.get('locked').filter((name) => name !== row.name);
    update(model, 'locked', box.checked ? [...others, row.name] : others);
  });
  return box;
}

function targetField(model: Model, row: LayerRow): HTMLElement {
  const own = model.get('targets')[row.name];
  const field = element('input', {
    type: 'number',
    min: 0,
    max: 0.99,
    step: 0.05,
    class: 'paoding-target',
    placeholder: String(model.get('target')),
    'aria-label': `Share of ${row.name} to remove; empty: as all`,
  });
  field.value = own === undefined ? '' : String(own);
  field.disabled = !model.get('editable') || model.get('locked').includes(row.name);
  field.addEventListener('change', () => {
    const targets = { ...model.get('targets') };
    if (field.value === '' || Number.isNaN(field.valueAsNumber)) delete targets[row.name];
    else targets[row.name] = field.valueAsNumber;
    update(model, 'targets', targets);
  });
  return field;
}
