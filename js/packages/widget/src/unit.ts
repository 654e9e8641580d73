/** Why a unit went or stays: one sentence, its rivals as bars, its weights as pictures, and acts. */

import { element, formatNumber } from '@paoding/core';
import type { Model, Picture, UnitDetails } from './traits';

/** The sentence and what can be done come first. */
export function unitLead(model: Model, details: UnitDetails): HTMLElement[] {
  const parts = [
    element('h3', {}, details.title),
    element('p', { class: 'paoding-story' }, details.story),
    acts(model, details),
  ];
  if (details.late) {
    parts.push(
      element(
        'p',
        { class: 'paoding-note' },
        'What would change is worked out when the run rests.',
      ),
    );
  }
  return parts;
}

function acts(model: Model, details: UnitDetails): HTMLElement {
  const { name, unit } = details;
  const button = (text: string, title: string, able: boolean, content: () => object) => {
    const made = element('button', { type: 'button', title }, text);
    made.addEventListener('click', () => model.send({ name, unit, ...content() }));
    made.toggleAttribute('disabled', !able);
    return made;
  };
  const row = element('div', { class: 'paoding-acts' });
  if (details.gone) {
    const { can_return: able } = details;
    const later = laterSteps(details);
    const back = (action: string) => () => ({ action, ...(later ? { later: later.value } : {}) });
    row.append(
      button('Take back', 'Bring this unit back', able, back('take-back')),
      button('… and keep for good', 'Bring it back, and never remove it', able, back('keep-unit')),
    );
    if (later) row.append(element('label', {}, 'later steps: ', later));
    return row;
  }
  row.append(
    button('Remove', 'Remove this unit now, as a step of its own', details.can_go, () => ({
      action: 'remove-unit',
    })),
    ...details.alike
      .slice(0, 3)
      .map((one) =>
        button(
          `Merge into ${one.unit}`,
          `Remove this unit; unit ${one.unit} takes it over`,
          details.can_go,
          () => ({ action: 'remove-unit', into: one.unit }),
        ),
      ),
    details.kept
      ? button('Release', 'Let it go again when its turn comes', details.can_keep, () => ({
          action: 'release-unit',
        }))
      : button('Keep for good', 'Never remove this unit', details.can_keep, () => ({
          action: 'keep-unit',
        })),
  );
  return row;
}

/** What becomes of the steps after the one that is taken back; null where there are none. */
function laterSteps(details: UnitDetails): HTMLSelectElement | null {
  if (details.later === 0) return null;
  const option = (value: string, text: string) => element('option', { value }, text);
  return element(
    'select',
    { 'aria-label': 'What becomes of the later steps' },
    option('kept', `kept as they are (${details.later})`),
    option('anew', 'decided anew'),
  );
}

/** Importance of the unit among those that are next to go. */
export function unitRivals(details: UnitDetails, choose: (unit: number) => void): HTMLElement[] {
  if (details.rivals.length === 0) return [];
  const most = Math.max(...details.rivals.map((one) => one.value), Number.MIN_VALUE);
  const mine = details.unit;
  const own = details.rivals.find((one) => one.unit === mine);
  const rows = details.rivals.flatMap((one) => {
    const link = element('button', { type: 'button', class: 'paoding-link' }, `unit ${one.unit}`);
    link.addEventListener('click', () => choose(one.unit));
    const bar = element('i', { class: one.unit === mine ? 'paoding-chosen' : '' });
    bar.style.width = `${Math.max(1, (100 * one.value) / most)}%`;
    return [link, bar, element('span', {}, formatNumber(one.value))];
  });
  const title = own
    ? `Importance: ${own.place} of ${own.of}, the first goes first`
    : 'Importance of those that go next';
  return [element('h4', {}, title), element('div', { class: 'paoding-bars' }, ...rows)];
}

export function unitPictures(details: UnitDetails): HTMLElement[] {
  if (details.pictures.length === 0) return [];
  const figures = details.pictures.map((one) =>
    element('figure', {}, draw(one), element('figcaption', {}, one.title)),
  );
  return [
    element('h4', {}, 'Weights that come in (blue: negative, red: positive)'),
    element('div', { class: 'paoding-pictures' }, ...figures),
  ];
}

function draw(picture: Picture): HTMLElement {
  const canvas = element('canvas', { role: 'img', 'aria-label': `Weights: ${picture.title}` });
  canvas.width = picture.columns;
  canvas.height = picture.rows;
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  const image = context.createImageData(picture.columns, picture.rows);
  picture.values.forEach((value, index) => {
    if (value === null) return;
    const paler = Math.round(255 * (1 - Math.abs(value)));
    const colour = value < 0 ? [paler, paler, 255] : [255, paler, paler];
    image.data.set([...colour, 255], 4 * index);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
