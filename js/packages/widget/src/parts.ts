/** What the parts of the studio have in common: they live in the page until they are let go. */

import type { Model, Traits } from './traits';

export interface Part {
  root: HTMLElement;
  destroy?: () => void;
}

/** Calls `act` now and whenever one of the traits changes, until the signal says stop. */
export function watch(
  model: Model,
  names: (keyof Traits)[],
  signal: AbortSignal,
  act: () => void,
): void {
  for (const name of names) {
    model.on(`change:${name}`, act);
    signal.addEventListener('abort', () => model.off(`change:${name}`, act));
  }
  act();
}

export function update<K extends keyof Traits>(model: Model, name: K, value: Traits[K]): void {
  model.set(name, value);
  model.save_changes();
}

export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}
