/** The log of candidates of a run folder: every unit that was considered, with verdict and reason. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { type Column, DataTable, element, formatCount, formatNumber } from '@paoding/core';
import { FileError } from '@paoding/core/keras';
import { openUrl } from '../reader/source';
import program from './decisions.worker?inline';

/** What the worker tells: columns of the rows that are shown, and how many there are. */
export interface Answer {
  count: number;
  step: Float64Array;
  unit: Float64Array;
  into: Float64Array;
  importance: Float64Array;
  energy: Float64Array;
  probability: Float64Array;
  group: string[];
  verdict: string[];
  reason: string[];
}

const MOST_BYTES = 32 << 20;
const PATIENCE_MS = 30_000;

/** Reads the log. What is wrong with it comes as a `FileError`; nothing is read on the page. */
export async function readDecisions(app: JupyterFrontEnd, path: string): Promise<Answer> {
  const { contents, serverSettings } = app.serviceManager;
  const source = await openUrl(await contents.getDownloadUrl(path), (address, headers) =>
    ServerConnection.makeRequest(address, { headers, cache: 'no-store' }, serverSettings),
  );
  if (source.size > MOST_BYTES) {
    throw new FileError('The log has %1 MB: read it in a notebook.', source.size >> 20);
  }
  const bytes = (await source.read(0, source.size)).slice();
  const address = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }));
  const worker = new Worker(address);
  URL.revokeObjectURL(address);
  try {
    return await new Promise<Answer>((done, failed) => {
      const refuse = (): void => failed(new FileError('The log of the run is damaged.'));
      window.setTimeout(refuse, PATIENCE_MS);
      worker.onerror = refuse;
      worker.onmessage = ({ data }: MessageEvent<Answer | string>) =>
        typeof data === 'string' ? refuse() : done(data);
      worker.postMessage(bytes.buffer, [bytes.buffer]);
    });
  } finally {
    worker.terminate();
  }
}

/** The log as a table, with a choice of step and verdict above it. */
export function decisionsView(found: Answer, trans: TranslationBundle): HTMLElement {
  const table = new DataTable({
    label: trans.__('Decisions'),
    rowClass: (row) => (found.verdict[row] === 'removed' ? 'paoding-removed' : ''),
  });
  const text = (title: string, values: string[]): Column => ({
    title,
    text: (row) => values[row] ?? '',
    key: (row) => values[row] ?? '',
  });
  const number = (title: string, values: Float64Array, whole = false): Column => ({
    title,
    numeric: true,
    text: (row) => {
      const value = values[row] ?? Number.NaN;
      return whole ? (value >= 0 ? String(value) : '–') : formatNumber(value);
    },
    key: (row) => values[row] ?? Number.NaN,
  });
  table.setData(
    [
      number(trans.__('Step'), found.step, true),
      text(trans.__('Layer'), found.group),
      number(trans.__('Unit'), found.unit, true),
      text(trans.__('Verdict'), found.verdict),
      text(trans.__('Reason'), found.reason),
      number(trans.__('Into'), found.into, true),
      number(trans.__('Importance'), found.importance),
      number(trans.__('Energy'), found.energy),
      number(trans.__('Probability'), found.probability),
    ],
    found.step.length,
  );
  const steps = [...new Set(found.step)].map(String);
  const step = choice(trans.__('Step'), steps, trans);
  const verdict = choice(trans.__('Verdict'), [...new Set(found.verdict)], trans);
  const filter = (): void =>
    table.setFilter(
      (row) =>
        (step.value === '' || String(found.step[row]) === step.value) &&
        (verdict.value === '' || found.verdict[row] === verdict.value),
    );
  for (const one of [step, verdict]) one.addEventListener('change', filter);
  const shown = found.step.length;
  const note =
    shown < found.count
      ? trans.__('The first %1 of %2 candidates', formatCount(shown), formatCount(found.count))
      : trans.__('%1 candidates', formatCount(found.count));
  return element('div', {}, element('p', {}, step, ' ', verdict, ` ${note}`), table.root);
}

function choice(label: string, values: string[], trans: TranslationBundle): HTMLSelectElement {
  const all = element('option', { value: '' }, `${label}: ${trans.__('all')}`);
  const rest = values.slice(0, 1000).map((value) => element('option', { value }, value));
  return element('select', { 'aria-label': label }, all, ...rest);
}
