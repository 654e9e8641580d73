/** The steps of the run on a slider: drag back to see an earlier moment, or start from there. */

import { element } from '@paoding/core';
import { type Part, update, watch } from './parts';
import type { Model } from './traits';

export function makeTimeline(model: Model, signal: AbortSignal): Part {
  const slider = element('input', {
    type: 'range',
    min: 0,
    step: 1,
    class: 'paoding-slider',
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
  const branch = button('Start from here', 'Drop the later steps and go on from this one', () =>
    model.send({ action: 'branch', moment: model.get('moment') }),
  );
  branch.className = 'paoding-branch';
  slider.addEventListener('input', () => go(slider.valueAsNumber));
  const root = element(
    'div',
    { class: 'paoding-timeline', 'data-lm-suppress-shortcuts': 'true' },
    element('span', { class: 'paoding-timeline-title' }, 'Timeline'),
    back,
    slider,
    forth,
    latest,
    label,
    branch,
  );
  watch(model, ['moment', 'last', 'remarks', 'branchable'], signal, () => {
    const last = model.get('last');
    const moment = Math.min(model.get('moment'), last);
    slider.max = String(last);
    slider.value = String(moment);
    slider.disabled = last === 0;
    const remark = model.get('remarks')[moment] ?? '';
    const place = moment === 0 ? 'Original' : `Step ${moment} of ${last}`;
    label.textContent = remark ? `${place} · ${remark}` : place;
    slider.setAttribute('aria-valuetext', label.textContent);
    back.disabled = moment === 0;
    forth.disabled = moment >= last;
    latest.disabled = moment >= last;
    branch.hidden = moment >= last;
    branch.disabled = !model.get('branchable');
  });
  return { root };
}
