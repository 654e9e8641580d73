/** Every candidate of the chosen step: its numbers, the verdict and the reason. */

import { type Column, DataTable, element, formatNumber } from '@paoding/core';
import { type Part, watch } from './parts';
import { asFloat64, asInt32, type Model, type RawDecisions } from './traits';

const NUMBERS: [name: string, title: string, help: string][] = [
  ['importance', 'Importance', 'How much the network would miss the unit: smaller goes first'],
  ['amount', 'L', 'How much the outputs may change: the sum of the widths of their intervals'],
  ['evenness', 'Ent', 'How unevenly the outputs change'],
  ['energy', 'Energy', 'Weighs L against Ent: smaller is better'],
  ['temperature', 'T', 'Temperature: how easily a worse candidate is accepted'],
  ['probability', 'p', 'Probability with which the candidate was accepted'],
];

export function makeDecisions(
  model: Model,
  signal: AbortSignal,
  onChoose: (group: number, unit: number) => void,
): Part {
  const caption = element('p', { class: 'paoding-note' });
  const verdict = element('select', { 'aria-label': 'Verdict' });
  const filter = element('input', {
    type: 'search',
    placeholder: 'Layer, unit or reason',
    'aria-label': 'Filter decisions by layer, unit or reason',
    class: 'paoding-filter',
  });
  const more = element('input', { type: 'checkbox', 'aria-label': 'All numbers' });
  let groupOf: Int32Array = new Int32Array(0);
  let unitOf: Int32Array = new Int32Array(0);
  let verdictOf: Int32Array = new Int32Array(0);
  const table = new DataTable({
    label: 'Decisions of the step',
    onChoose: (row) => onChoose(groupOf[row] ?? -1, unitOf[row] ?? -1),
    rowClass: (row) => `paoding-verdict-${verdictOf[row] ?? 0}`,
  });
  const root = element(
    'div',
    {},
    element(
      'div',
      { class: 'paoding-filters' },
      filter,
      verdict,
      element('label', { class: 'paoding-all' }, more, 'all numbers'),
    ),
    caption,
    table.root,
  );
  let texts: (row: number) => string = () => '';
  const applyFilter = (): void => {
    const query = filter.value.trim().toLowerCase();
    const wanted = verdict.selectedIndex - 1;
    table.setFilter(
      (row) =>
        (wanted < 0 || verdictOf[row] === wanted) &&
        (query === '' || texts(row).toLowerCase().includes(query)),
    );
  };
  filter.addEventListener('input', applyFilter);
  verdict.addEventListener('change', applyFilter);
  const show = (): void => {
    const raw = model.get('decisions');
    groupOf = asInt32(raw.columns.group);
    unitOf = asInt32(raw.columns.unit);
    verdictOf = asInt32(raw.columns.verdict);
    const columns = makeColumns(raw, groupOf, unitOf, verdictOf, more.checked);
    texts = (row) => columns.map((column) => column.text(row)).join(' ');
    caption.textContent = describeDecisions(raw, verdictOf);
    const chosen = verdict.selectedIndex;
    verdict.replaceChildren(
      ...['All verdicts', ...raw.verdicts].map((name) => element('option', {}, name)),
    );
    verdict.selectedIndex = Math.min(Math.max(0, chosen), raw.verdicts.length);
    table.setData(columns, raw.count);
    applyFilter();
  };
  more.addEventListener('change', show);
  watch(model, ['decisions'], signal, show);
  return { root };
}

function describeDecisions(raw: RawDecisions, verdictOf: Int32Array): string {
  if (raw.step < 0) return 'No step has been taken yet: press Start or Step.';
  const counts = raw.verdicts.map(
    (name, index) => `${verdictOf.filter((value) => value === index).length} ${name}`,
  );
  const omitted = raw.omitted > 0 ? `; ${raw.omitted} more are in the saved log` : '';
  return `Step ${raw.step + 1}: ${counts.join(', ')}${omitted}.`;
}

function makeColumns(
  raw: RawDecisions,
  groupOf: Int32Array,
  unitOf: Int32Array,
  verdictOf: Int32Array,
  all: boolean,
): Column[] {
  const into = asInt32(raw.columns.into);
  const reason = asInt32(raw.columns.reason);
  const group = (row: number): string => raw.groups[groupOf[row] ?? -1] ?? '';
  const whole = (title: string, values: Int32Array, help: string): Column => ({
    title,
    help,
    numeric: true,
    text: (row) => ((values[row] ?? -1) < 0 ? '–' : String(values[row])),
    key: (row) => values[row] ?? -1,
  });
  const named = (title: string, text: (row: number) => string): Column => ({
    title,
    text,
    key: text,
  });
  const numbers = NUMBERS.map(([name, title, help]): Column => {
    const values = asFloat64(raw.columns[name]);
    return {
      title,
      help,
      numeric: true,
      text: (row) => formatNumber(values[row] ?? Number.NaN),
      key: (row) => values[row] ?? Number.NaN,
    };
  });
  // What fits beside the structure comes first: who, what became of it, and why.
  return [
    named('Unit', (row) => `${group(row)} ${unitOf[row] ?? ''}`),
    named('Verdict', (row) => raw.verdicts[verdictOf[row] ?? -1] ?? ''),
    named('Reason', (row) => raw.reasons[reason[row] ?? -1] ?? ''),
    ...(all ? [whole('Into', into, 'The unit that would take it over'), ...numbers] : []),
  ];
}
