/** What is known about the chosen layer and unit, and about every decision of a step. */

import { attributeFacts, drawHistogram, element, formatNumber, OWN_KEYS } from '@paoding/core';
import { makeDecisions } from './decisions';
import { makeLayers } from './layers';
import { type Part, update, watch } from './parts';
import { makeRuns } from './runs';
import { type Fact, type LayerDetails, type Model, type UnitDetails, unitState } from './traits';
import { unitLead, unitPictures, unitRivals } from './unit';

export function makeInspector(model: Model, signal: AbortSignal): Part {
  const chooseUnit = (group: number, unit: number): void => {
    const node = model.get('scene').nodes.findIndex((one) => one.group === group && one.units > 0);
    if (node >= 0) update(model, 'selected', { node, unit });
  };
  const layer = element('div', { class: 'paoding-details' });
  const unit = element('div', { class: 'paoding-details' });
  const tabs = makeTabs([
    [
      'Layers',
      makeLayers(model, signal, (node) => update(model, 'selected', { node, unit: -1 })).root,
    ],
    ['Layer', layer],
    ['Unit', unit],
    ['Decisions', makeDecisions(model, signal, chooseUnit).root],
    ['Runs', makeRuns(model, signal).root],
  ]);
  watch(model, ['inspected', 'units', 'moment'], signal, () => {
    const { layer: layerDetails, unit: unitDetails } = model.get('inspected');
    layer.replaceChildren(...showLayer(model, layerDetails));
    unit.replaceChildren(
      ...showUnit(model, unitDetails, (other) => chooseUnit(unitDetails?.group ?? -1, other)),
    );
  });
  watch(model, ['selected'], signal, () => {
    const selected = model.get('selected');
    if (selected.node >= 0 && !tabs.isShown('Decisions')) {
      tabs.show(selected.unit >= 0 ? 'Unit' : 'Layer');
    }
  });
  return { root: tabs.root };
}

const MEANINGS: Record<string, string> = {
  Layers: 'Every layer, with a lock and a target of its own',
  Layer: 'What is known about the chosen layer',
  Unit: 'The story of the chosen unit',
  Runs: 'This run and those that were left for it, compared',
  Decisions: 'Every candidate of the step, with the verdict and the reason',
};

interface Tabs extends Part {
  show(name: string): void;
  isShown(name: string): boolean;
}

/** Tabs as a screen reader knows them: one tab stop, arrows between them. */
function makeTabs(pages: [string, HTMLElement][]): Tabs {
  const buttons = pages.map(([name]) =>
    element('button', { type: 'button', role: 'tab', title: MEANINGS[name], ...OWN_KEYS }, name),
  );
  let current = 0;
  const show = (index: number): void => {
    current = index;
    buttons.forEach((button, at) => {
      button.setAttribute('aria-selected', String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      (pages[at] as [string, HTMLElement])[1].hidden = at !== index;
    });
  };
  buttons.forEach((button, index) => {
    button.addEventListener('click', () => show(index));
    button.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      show((index + step + buttons.length) % buttons.length);
      buttons[current]?.focus();
    });
  });
  for (const [name, page] of pages) {
    page.setAttribute('role', 'tabpanel');
    page.setAttribute('aria-label', name);
    page.classList.add('paoding-page');
  }
  show(0);
  const root = element(
    'section',
    {
      class: 'paoding-inspector',
      'aria-label': 'Inspector',
      ...OWN_KEYS,
    },
    element('div', { role: 'tablist', class: 'paoding-tabs' }, ...buttons),
    ...pages.map(([, page]) => page),
  );
  return {
    root,
    show: (name) => show(pages.findIndex(([page]) => page === name)),
    isShown: (name) => pages[current]?.[0] === name,
  };
}

function factList(facts: Fact[]): HTMLElement {
  return element(
    'dl',
    { class: 'paoding-facts' },
    ...facts.flatMap((fact) => {
      const value = element('dd', {}, fact.value);
      if (fact.tag) {
        value.append(
          ' ',
          element('span', { class: `paoding-tag paoding-tag-${fact.tag}` }, fact.tag),
        );
      }
      return [element('dt', {}, fact.label), value];
    }),
  );
}

function hint(text: string): HTMLElement {
  return element('p', { class: 'paoding-note' }, text);
}

function showLayer(model: Model, details: LayerDetails | null): HTMLElement[] {
  if (!details) return [hint('Click a layer in the structure to see what is known about it.')];
  const parts: HTMLElement[] = [element('h3', {}, details.title)];
  if (details.note) parts.push(element('p', { class: 'paoding-reason' }, details.note));
  const set = attributeFacts(model.get('scene').nodes[model.get('inspected').node]?.attributes);
  const named = set.map(({ label, value }) => ({
    label: label.charAt(0).toUpperCase() + label.slice(1),
    value,
  }));
  parts.push(factList([...details.facts, ...named]));
  const group = model.get('scene').groups[details.group];
  if (group) {
    const state = unitState(model);
    const values = state.importance.subarray(group.start, group.start + group.units);
    const title = 'Importance of its living units';
    const histogram = drawHistogram(values, title);
    if (histogram) parts.push(element('h4', {}, title), element('div', {}, histogram));
  }
  if (details.members.length > 0) {
    parts.push(
      element('h4', {}, 'What goes with a unit'),
      element('ul', {}, ...details.members.map((member) => element('li', {}, member))),
    );
  }
  return parts;
}

function showUnit(
  model: Model,
  details: UnitDetails | null,
  choose: (unit: number) => void,
): HTMLElement[] {
  if (!details) return [hint('Click a unit (a square) in the structure to see its story.')];
  const parts = [...unitLead(model, details), ...unitRivals(details, choose)];
  parts.push(...unitPictures(details));
  if (details.facts.length > 0) parts.push(element('h4', {}, 'What is known'));
  parts.push(factList(details.facts));
  if (details.alike.length > 0) {
    const items = details.alike.map(({ unit, distance }) => {
      const link = element('button', { type: 'button', class: 'paoding-link' }, `unit ${unit}`);
      link.addEventListener('click', () => choose(unit));
      return element('li', {}, link, `, distance ${formatNumber(distance)}`);
    });
    parts.push(element('h4', {}, 'Most alike'), element('ol', {}, ...items));
  }
  return parts;
}
