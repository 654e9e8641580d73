/** The steps of the run on a slider: drag back to see an earlier moment, or start from there. */

import { element, OWN_KEYS } from '@paoding/core';
import { type Part, update, watch } from './parts';
import type { Model } from './traits';

export function makeTimeline(model: Model, signal: AbortSignal): Part {
  const slider = element('input', {
    type: 'range',
    min: 0,
    step: 1,
    class: 'paoding-slider',
    ...OWN_KEYS,
    'aria-label': 'Step of the run that is shown',
  });
  const label = element('output', { class: 'paoding-moment' });
  const go = (moment: number): void => {
    const last = model.get('last');
    update(model, 'moment', Math.min(last, Math.max(0, moment)));
  };
  const button = (text: string, title: string, act: () => void): HTMLButtonElement => {
    const made = element('button', { type: 'button', title, 'aria-label': title }, text);
    made.addEventListener('click', act);
    return made;
  };
  const back = button('‹', 'Show the step before', () => go(model.get('moment') - 1));
  const forth = button('›', 'Show the step after', () => go(model.get('moment') + 1));
  const latest = button('Latest', 'Show the latest step and follow the run', () =>
    go(model.get('last')),
  );
  const branch = button('Start from here', 'Go on from this step; the run so far is kept', () =>
    model.send({ action: 'branch', moment: model.get('moment') }),
  );
  branch.removeAttribute('aria-label'); // it is called what it says
  const replay = makeReplay(model, go, signal);
  branch.className = 'paoding-branch';
  slider.addEventListener('input', () => go(slider.valueAsNumber));
  const root = element(
    'div',
    { class: 'paoding-timeline', ...OWN_KEYS },
    element('span', { class: 'paoding-timeline-title' }, 'Timeline'),
    ...replay.parts,
    back,
    slider,
    forth,
    latest,
    label,
    branch,
  );
  watch(model, ['moment', 'last', 'planned', 'remarks', 'branchable'], signal, () => {
    const last = model.get('last');
    const moment = Math.min(model.get('moment'), last);
    slider.max = String(last);
    slider.value = String(moment);
    slider.disabled = last === 0;
    const remark = model.get('remarks')[moment] ?? '';
    const of = Math.max(model.get('planned') ?? 0, last);
    const place = moment === 0 ? 'Original' : `Step ${moment} of ${of}`;
    label.textContent = remark ? `${place} · ${remark}` : place;
    label.title = label.textContent;
    slider.setAttribute('aria-valuetext', label.textContent);
    back.disabled = moment === 0;
    forth.disabled = moment >= last;
    latest.disabled = moment >= last;
    // Hidden without leaving its place: what stands beside it does not move.
    branch.style.visibility = moment >= last ? 'hidden' : '';
    branch.disabled = !model.get('branchable') || moment >= last;
    replay.show(last);
  });
  return { root };
}

const SPEEDS = [
  ['slow', 1600],
  ['normal', 800],
  ['fast', 250],
] as const;

/** Plays the steps again, from the beginning or from where the reader looks. */
function makeReplay(
  model: Model,
  go: (moment: number) => void,
  signal: AbortSignal,
): { parts: HTMLElement[]; show(last: number): void } {
  let timer = 0;
  const button = element('button', { type: 'button', class: 'paoding-replay' }, '▶ Replay');
  const speed = element(
    'select',
    { 'aria-label': 'Speed of the replay', ...OWN_KEYS },
    ...SPEEDS.map(([name]) => element('option', {}, name)),
  );
  speed.selectedIndex = 1;
  const stop = (): void => {
    window.clearTimeout(timer);
    timer = 0;
    button.textContent = '▶ Replay';
  };
  const next = (): void => {
    const moment = model.get('moment');
    if (moment >= model.get('last')) {
      stop();
      return;
    }
    go(moment + 1);
    timer = window.setTimeout(next, SPEEDS[speed.selectedIndex]?.[1] ?? 800);
  };
  button.addEventListener('click', () => {
    if (timer) {
      stop();
      return;
    }
    if (model.get('moment') >= model.get('last')) go(0);
    button.textContent = '■ Stop replay';
    timer = window.setTimeout(next, SPEEDS[speed.selectedIndex]?.[1] ?? 800);
  });
  signal.addEventListener('abort', stop);
  return {
    parts: [button, speed],
    show: (last) => {
      button.disabled = last === 0;
    },
  };
}
