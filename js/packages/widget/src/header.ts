/** The head of the studio: what is pruned, how far it is, and what it has saved. */

import { element, formatBytes, formatCount, formatNumber } from '@paoding/core';
import { type Part, percent, watch } from './parts';
import type { Figure, Header, Model } from './traits';

/** A running count is read aloud no more often than this. */
const ANNOUNCE_MS = 4000;
const ESTIMATED =
  'Synthetic inputs of several kinds were put through both networks: a hint, and no measurement';
const FITTED =
  'What the survivors are fitted on: synthetic inputs alone, or real ones without labels';
const SIGNS: Record<Header['state'], string> = {
  ready: '○',
  running: '▶',
  paused: '❚❚',
  finished: '✓',
  stopped: '■',
  failed: '!',
};

/** Keeps the place of the figures until they are known. */
const WAITING: Figure[] = ['Parameters', 'FLOPs', 'Size'].map((label) => ({
  label,
  before: Number.NaN,
  after: Number.NaN,
  kind: 'count',
}));

export function makeHeader(model: Model, signal: AbortSignal): Part & { notes: HTMLElement } {
  const name = element('h2', { class: 'paoding-name' });
  const state = element('span', { class: 'paoding-state', 'aria-hidden': 'true' });
  const fitted = element('span', { class: 'paoding-fitted', title: FITTED });
  const message = element('span', { class: 'paoding-message', 'aria-hidden': 'true' });
  const spoken = element('div', { class: 'paoding-spoken', role: 'status', 'aria-live': 'polite' });
  const error = element('div', { class: 'paoding-error', role: 'alert', hidden: true });
  const estimate = element('div', { class: 'paoding-estimate', hidden: true });
  const figures = element('dl', { class: 'paoding-figures' });
  const bar = element('div', { class: 'paoding-progress-bar' });
  const work = element('div', { class: 'paoding-work', hidden: true });
  const progress = element(
    'div',
    {
      class: 'paoding-progress',
      role: 'progressbar',
      'aria-label': 'Progress of the run',
      'aria-valuemin': 0,
      'aria-valuemax': 100,
    },
    bar,
    work,
  );
  const root = element(
    'div',
    { class: 'paoding-header' },
    element('div', { class: 'paoding-title' }, name, state, fitted, message),
    figures,
    progress,
    spoken,
  );
  // What comes and goes stands where nothing that can be pressed moves with it.
  const notes = element('div', { class: 'paoding-notes' }, error, estimate);
  const speak = speaker(spoken);
  watch(model, ['header'], signal, () => {
    const header = model.get('header');
    name.textContent = header.name;
    state.textContent = `${SIGNS[header.state]} ${header.state}`;
    state.dataset.state = header.state;
    fitted.textContent = header.fitted ?? '';
    message.textContent = header.message;
    message.title = header.message;
    error.textContent = header.error;
    error.hidden = header.error === '';
    estimate.hidden = header.estimate === '';
    estimate.replaceChildren(...showEstimate(header));
    bar.style.width = `${100 * header.progress}%`;
    showWork(work, header.working);
    progress.setAttribute('aria-valuenow', String(Math.round(100 * header.progress)));
    const shown = header.figures.length > 0 ? header.figures : WAITING;
    figures.replaceChildren(...shown.flatMap(showFigure));
    speak(header);
  });
  return { root, notes };
}

/** A bar for the piece of work that is going on; it wanders while its share is not known. */
function showWork(bar: HTMLElement, share: number | null): void {
  bar.hidden = share === null;
  bar.classList.toggle('paoding-wanders', share !== null && share < 0);
  bar.style.width = share !== null && share >= 0 ? `${100 * share}%` : '';
}

function showEstimate({ estimate, prior }: Header): (Node | string)[] {
  const tag = element('span', { class: 'paoding-tag', title: ESTIMATED }, 'estimated');
  const text = element('span', {}, ` Without data: ${estimate}.`);
  if (!prior) return [tag, text];
  const fitted = element('summary', {}, 'What the survivors were fitted on');
  return [tag, text, element('details', {}, fitted, prior)];
}

function showFigure(figure: Figure): HTMLElement[] {
  const text = {
    count: formatCount,
    bytes: formatBytes,
    number: formatNumber,
    share: (value: number) => percent(value, 1),
  }[figure.kind];
  const changed = figure.after !== figure.before && Number.isFinite(figure.after);
  const value = element('dd', {}, Number.isNaN(figure.before) ? '…' : text(figure.before));
  if (changed) {
    const ratio = figure.after / figure.before - 1;
    const sign = ratio > 0 ? '+' : '−';
    const change =
      figure.kind === 'share'
        ? `${sign}${Math.abs(100 * (figure.after - figure.before)).toFixed(1)} points`
        : `${sign}${Math.abs(100 * ratio).toFixed(0)} %`;
    value.append(
      element('span', { class: 'paoding-arrow' }, ' → '),
      element('strong', {}, text(figure.after)),
      element('span', { class: 'paoding-change' }, ` ${change}`),
    );
  }
  return [element('div', {}, element('dt', {}, figure.label), value)];
}

/** Says a change of state at once, and a running count only now and then. */
function speaker(region: HTMLElement): (header: Header) => void {
  let state = '';
  let said = 0;
  return (header) => {
    const now = Date.now();
    if (header.state === state && now - said < ANNOUNCE_MS) return;
    const text = `${header.state}. ${header.message}`;
    if (region.textContent !== text) region.textContent = text;
    state = header.state;
    said = now;
  };
}
