/** The studio's view, as an anywidget module: no state outlives or is shared between views. */

import { element, StructureView } from '@paoding/core';
import baseStyles from '@paoding/core/base.css';
import structureStyles from '@paoding/core/structure.css';
import { keepFocus } from './focus';
import { makeHeader } from './header';
import { makeInspector } from './inspector';
import { makeLost } from './lost';
import { tellRuns } from './news';
import { type Part, update, watch } from './parts';
import studioStyles from './studio.css';
import { makeTimeline } from './timeline';
import { type Model, unitState } from './traits';

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  el.classList.add('paoding-view');
  el.append(element('style', {}, baseStyles + structureStyles + studioStyles));
  const structure = makeStructure(model, signal);
  const parts: Part[] = [structure];
  if (model.get('mode') === 'structure') {
    el.append(structure.root);
  } else {
    const header = makeHeader(model, signal);
    const inspector = makeInspector(model, signal);
    const timeline = makeTimeline(model, signal);
    const lost = makeLost(model, el, signal);
    parts.push(header, inspector, timeline, lost);
    const main = element('div', { class: 'paoding-main' }, structure.root, inspector.root);
    el.append(header.root, main, timeline.root, header.notes, lost.root);
  }
  watchPage(model, signal);
  keepFocus(el, signal);
  return () => {
    stop.abort();
    for (const part of parts) part.destroy?.();
    el.replaceChildren();
  };
}

function makeStructure(model: Model, signal: AbortSignal): Part {
  const spoken = element('div', { class: 'paoding-spoken', 'aria-live': 'polite' });
  const root = element('section', { class: 'paoding-panel', 'aria-label': 'Structure' }, spoken);
  const view = new StructureView(root, {
    saves: true,
    onSelect: (selection) => update(model, 'selected', selection),
    onAnnounce: (text) => {
      spoken.textContent = text;
    },
  });
  watch(model, ['scene'], signal, () => view.setScene(model.get('scene')));
  watch(model, ['filters'], signal, () => view.setFilters(model.get('filters') ?? []));
  watch(model, ['units', 'moment'], signal, () =>
    view.setState(unitState(model), model.get('moment')),
  );
  watch(model, ['selected'], signal, () => {
    const selected = model.get('selected');
    view.setSelected(selected.node >= 0 ? selected : null);
  });
  return { root, destroy: () => view.destroy() };
}

/** Charts that nobody sees are not sent: Python is told whether the page is in sight. */
function watchPage(model: Model, signal: AbortSignal): void {
  const tell = (): void => {
    const visible = document.visibilityState !== 'hidden';
    if (model.get('page_visible') !== visible) update(model, 'page_visible', visible);
  };
  document.addEventListener('visibilitychange', tell, { signal });
  tell();
}

export default { initialize: tellRuns, render };
