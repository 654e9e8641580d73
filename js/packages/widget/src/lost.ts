/** Tells that the kernel is gone: nothing that is pressed would be done any more. */

import { element } from '@paoding/core';
import type { Part } from './parts';
import type { Model } from './traits';

const ENDS = new Set(['restarting', 'autorestarting', 'terminating', 'dead']);

export function makeLost(model: Model, view: HTMLElement, signal: AbortSignal): Part {
  const root = element('div', { class: 'paoding-lost', role: 'alert', hidden: true });
  const tell = (): void => {
    if (!root.hidden) return;
    root.hidden = false;
    root.replaceChildren(...sentences(model.get('header').saved));
    const studio = view.closest('.paoding-studio') ?? view;
    studio.classList.add('paoding-without-kernel');
    for (const control of studio.querySelectorAll<HTMLButtonElement>('button, input, select')) {
      if (!root.contains(control)) control.disabled = true;
    }
  };
  const onStatus = (_: unknown, status: string): void => {
    if (ENDS.has(status)) tell();
  };
  const kernel = model.widget_manager?.kernel;
  kernel?.statusChanged.connect(onStatus);
  signal.addEventListener('abort', () => kernel?.statusChanged.disconnect(onStatus));
  // Elsewhere the connection's end is all that is known; the page's own view marks it.
  const onLine = (): void =>
    queueMicrotask(() => {
      if (view.closest('.jupyter-widgets-disconnected')) tell();
    });
  model.on('comm_live_update', onLine);
  signal.addEventListener('abort', () => model.off('comm_live_update', onLine));
  return { root };
}

/** What has happened and the line to go on with. */
function sentences(saved: string): (Node | string)[] {
  if (!saved) {
    return [
      'The kernel of this studio is gone, and nothing had been kept yet: run the cell again.',
    ];
  }
  const line = `from paoding_widgets import PruningStudio; PruningStudio.load(${JSON.stringify(saved)})`;
  const copy = element('button', { type: 'button', title: 'Copy the line' }, 'Copy');
  copy.addEventListener('click', () => navigator.clipboard?.writeText(line));
  return [
    'The kernel of this studio is gone; its steps are kept. Run this in a cell to go on: ',
    element('code', {}, line),
    copy,
  ];
}
