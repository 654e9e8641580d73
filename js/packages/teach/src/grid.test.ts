/** The grid of pictures against a mock model of the kernel's side. */

import { afterEach, expect, test } from 'vitest';
import grid, { type Traits, toggled } from './index';

const PIXEL = 'data:image/png;base64,iVBORw0KGgo=';

class MockModel {
  saved = 0;
  private listeners = new Map<string, Set<() => void>>();
  constructor(private traits: Traits) {}
  get<K extends keyof Traits>(name: K): Traits[K] {
    return this.traits[name];
  }
  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.traits[name] = value;
    for (const act of this.listeners.get(`change:${name}`) ?? []) act();
  }
  save_changes(): void {
    this.saved += 1;
  }
  on(event: string, act: () => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(act));
  }
  off(event: string, act: () => void): void {
    this.listeners.get(event)?.delete(act);
  }
  get listening(): number {
    return [...this.listeners.values()].reduce((sum, acts) => sum + acts.size, 0);
  }
}

function shown(over: Partial<Traits> = {}): {
  model: MockModel;
  el: HTMLElement;
  stop: () => void;
} {
  const picture = (label: string) => ({ src: PIXEL, label, note: '', mark: '' });
  const model = new MockModel({
    pictures: [picture('unit 3'), picture('unit 5')],
    caption: 'Units of dense',
    selected: [],
    multiple: false,
    disabled: false,
    ...over,
  });
  const el = document.createElement('div');
  document.body.append(el);
  const stop = grid.render({ model: model as never, el });
  return { model, el, stop };
}

afterEach(() => document.body.replaceChildren());

test('a click selects one picture, and a second click on it none', () => {
  const { model, el } = shown();
  const [first, second] = el.querySelectorAll('button');
  first?.click();
  second?.click();
  expect(model.get('selected')).toEqual([1]);
  expect(second?.getAttribute('aria-pressed')).toBe('true');
  expect(first?.getAttribute('aria-pressed')).toBe('false');
  second?.click();
  expect(model.get('selected')).toEqual([]);
  expect(model.saved).toBe(3);
});

test('where several may be chosen they are kept in order', () => {
  expect(toggled([4], 2, true)).toEqual([2, 4]);
  expect(toggled([2, 4], 4, true)).toEqual([2]);
});

test('labels are text and never HTML, and only pictures from the kernel are shown', () => {
  const evil = { src: 'https://example.org/x.png', label: '<b>x</b>', note: '<i>', mark: 'x y' };
  const { el } = shown({ pictures: [evil] });
  expect(el.querySelector('b, i')).toBeNull();
  expect(el.querySelector('.paoding-picture-label')?.textContent).toBe('<b>x</b>');
  expect(el.querySelector('img')?.getAttribute('src')).toBe('');
});

test('new pictures keep the focus where it was', () => {
  const { model, el } = shown();
  el.querySelectorAll('button')[1]?.focus();
  model.set('pictures', [...model.get('pictures')]);
  expect(document.activeElement).toBe(el.querySelectorAll('button')[1]);
});

test('a view that is gone listens to nothing', () => {
  const { model, stop } = shown();
  expect(model.listening).toBe(4);
  stop();
  expect(model.listening).toBe(0);
});
