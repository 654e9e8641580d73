/** A grid of pictures to choose from, as an anywidget module: each picture is a button. */

import type { AnyModel } from '@anywidget/types';
import { element } from '@paoding/core';
import styles from './grid.css';

/** One picture: where it comes from, what it is called, and a line of text under it. */
export interface Picture {
  src: string;
  label: string;
  note: string;
  /** "", "good", "bad" or "gone": how the picture is framed. */
  mark: string;
}

export interface Traits {
  pictures: Picture[];
  caption: string;
  selected: number[];
  multiple: boolean;
  disabled: boolean;
}

const MARKS = new Set(['good', 'bad', 'gone']);

/** What is selected after a click: one picture, or one more or less where several may be. */
export function toggled(selected: number[], index: number, multiple: boolean): number[] {
  const without = selected.filter((other) => other !== index);
  if (without.length < selected.length) return without;
  return multiple ? [...selected, index].sort((a, b) => a - b) : [index];
}

function button(picture: Picture, index: number, choose: (index: number) => void): HTMLElement {
  const made = element('button', { type: 'button', class: 'paoding-picture' });
  // Pictures are made in the kernel; anything else stays blank instead of being fetched.
  const known = picture.src.startsWith('data:image/png;base64,');
  const image = element('img', { alt: '', src: known ? picture.src : '' });
  const label = element('span', { class: 'paoding-picture-label' });
  label.textContent = picture.label;
  const note = element('span', { class: 'paoding-picture-note' });
  note.textContent = picture.note;
  if (MARKS.has(picture.mark)) made.classList.add(`paoding-${picture.mark}`);
  made.append(image, label, note);
  made.addEventListener('click', () => choose(index));
  return made;
}

function render({ model, el }: { model: AnyModel<Traits>; el: HTMLElement }): () => void {
  const group = element('div', { class: 'paoding-pictures', role: 'group' });
  el.classList.add('paoding-teach');
  el.append(element('style', {}, styles), group);

  const choose = (index: number): void => {
    model.set('selected', toggled(model.get('selected'), index, model.get('multiple')));
    model.save_changes();
  };
  const mark = (): void => {
    const selected = model.get('selected');
    for (const [index, child] of [...group.children].entries()) {
      child.setAttribute('aria-pressed', String(selected.includes(index)));
      child.toggleAttribute('disabled', model.get('disabled'));
    }
  };
  const draw = (): void => {
    const focused = [...group.children].indexOf(document.activeElement as Element);
    group.setAttribute('aria-label', model.get('caption'));
    group.replaceChildren(...model.get('pictures').map((p, i) => button(p, i, choose)));
    mark();
    const again = group.children.item(focused);
    if (focused >= 0 && again instanceof HTMLElement) again.focus();
  };
  const watched: [string, () => void][] = [
    ['change:pictures', draw],
    ['change:caption', draw],
    ['change:selected', mark],
    ['change:disabled', mark],
  ];
  for (const [event, act] of watched) model.on(event, act);
  draw();
  return () => {
    for (const [event, act] of watched) model.off(event, act);
    el.replaceChildren();
  };
}

export default { render };
