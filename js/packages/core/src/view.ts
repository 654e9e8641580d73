/** The structure of a model as a canvas that can be zoomed, panned, searched and walked by keys. */

import type { Block } from './blocks';
import {
  centre,
  firstView,
  fitAll,
  fitCard,
  keepInSight,
  reveal,
  type Size,
  zoomAt,
} from './camera';
import { element, OWN_KEYS } from './dom';
import { type Camera, drawFrame, drawOverview, type Frame, TileCache } from './draw';
import { describeBlock, frameAt } from './drawBlock';
import { Filters, type RawFilters } from './filters';
import { type Card, cellAt, type Layout, layoutScene, memberAt, openAtFirst } from './layout';
import { isArrow, move, search } from './navigate';
import { savePng, saveSvg } from './save';
import { plain, type Say } from './say';
import {
  describe,
  EMPTY_SCENE,
  emptyState,
  type Scene,
  type Selection,
  type UnitState,
  unitOfCell,
} from './scene';
import { structureSvg } from './svg';
import { readTheme, type Theme } from './theme';

export interface StructureOptions {
  /** Called when the reader chooses a layer or a unit. */
  onSelect?: (selection: Selection) => void;
  /** Called with a sentence about what the keyboard has reached, for a live region. */
  onAnnounce?: (text: string) => void;
  /** Says its texts in the reader's language; English without it. */
  say?: Say;
  /** Whether its bar has buttons that save it as a picture. */
  saves?: boolean;
}

const ZOOM_STEP = 1.3;
const OVERVIEW_HEIGHT = 34;
/** Below this scale a whole structure is a line in which nothing can be told apart. */
const HAIRLINE = 0.12;
/** How long removed units fade and hand their share on. */
const FADE_MS = 450;
/** A press that moves less than this many pixels is a click, not a drag. */
const CLICK_SLACK = 4;
const HELP =
  'Structure of the model. Left and right arrows go from layer to layer, up and down between ' +
  'branches, Enter opens a folded block, chooses a layer and then enters its units, Escape leaves ' +
  'them and folds the block again, ' +
  'plus and minus zoom, zero shows everything. Models within the model fold like blocks.';

/** Whether the reader asks for a page that does not move. */
function quiet(): boolean {
  return typeof matchMedia !== 'function' || matchMedia('(prefers-reduced-motion: reduce)').matches;
}

export class StructureView {
  readonly root: HTMLElement;
  private readonly say: Say;
  private readonly canvas: HTMLCanvasElement;
  private readonly overview: HTMLCanvasElement;
  private readonly tooltip: HTMLElement;
  private readonly searchField: HTMLInputElement;
  private readonly searchCount: HTMLElement;
  private readonly legend: HTMLElement;
  private readonly folding: HTMLButtonElement;
  /** Names of the blocks that are open. */
  private open = new Set<string>();
  private vertical = false;
  private readonly cleanups: (() => void)[] = [];
  private scene: Scene = EMPTY_SCENE;
  private layout: Layout = layoutScene(EMPTY_SCENE);
  private state: UnitState = emptyState(EMPTY_SCENE);
  private moment = 0;
  private camera: Camera = { scale: 1, x: 0, y: 0 };
  private size: Size = { width: 0, height: 0 };
  private theme: Theme;
  private tiles = new TileCache();
  private filters = new Filters([]);
  private selected: Selection | null = null;
  private focused: Selection | null = null;
  private hovered: Selection | null = null;
  private found: number[] = [];
  private foundAt = 0;
  private searching = false;
  /** Whether the reader has moved the picture; until then it is fitted to its window. */
  private moved = false;
  private pending = 0;
  /** When the last step came into sight, while its removals fade; else 0. */
  private faded = 0;

  constructor(
    parent: HTMLElement,
    private readonly options: StructureOptions = {},
  ) {
    const say = options.say ?? plain;
    this.say = say;
    this.canvas = element('canvas', {
      class: 'paoding-canvas',
      tabindex: 0,
      role: 'application',
      ...OWN_KEYS,
      'aria-label': say(HELP),
    });
    this.overview = element('canvas', { class: 'paoding-overview', 'aria-hidden': 'true' });
    this.tooltip = element('div', {
      class: 'paoding-tooltip',
      hidden: true,
      'aria-hidden': 'true',
    });
    this.searchField = element('input', {
      class: 'paoding-search',
      type: 'search',
      placeholder: say('Find a layer'),
      'aria-label': say('Find a layer by name or type'),
    });
    this.searchCount = element('span', { class: 'paoding-search-count', 'aria-live': 'polite' });
    this.legend = this.makeLegend();
    this.folding = element('button', { type: 'button' });
    this.folding.addEventListener('click', () => this.foldAll());
    // Notebook shortcuts (arrows, Enter, letters) must not fire while keys belong to this view.
    this.root = element(
      'div',
      { class: 'paoding-structure', ...OWN_KEYS },
      this.makeToolbar(),
      element('div', { class: 'paoding-stage' }, this.canvas, this.tooltip),
      this.overview,
      this.legend,
    );
    parent.append(this.root);
    this.theme = readTheme(this.root);
    this.listen();
  }

  /** Shows another model. */
  setScene(scene: Scene): void {
    this.scene = scene;
    this.open = openAtFirst(scene);
    this.arrange();
    this.state = emptyState(scene);
    this.moment = 0;
    this.selected = null;
    this.focused = null;
    this.hovered = null;
    this.moved = false;
    this.legend.hidden = !scene.groups.some((group) => group.prunable);
    this.tiles.clear();
    this.frameOnce();
    this.redraw();
  }

  /** Lays the structure out again: for another model, window or set of open blocks. */
  private arrange(): void {
    const window = this.size.width > 0 ? { window: this.size } : {};
    this.layout = layoutScene(this.scene, {
      open: this.open,
      vertical: this.vertical,
      ...window,
    });
    const { blocks } = this.layout;
    this.folding.hidden = blocks.length === 0;
    this.root.classList.toggle(
      'paoding-large',
      blocks.some((block) => !block.nested),
    );
    const anyOpen = this.open.size > 0;
    this.folding.textContent = this.say(anyOpen ? 'Fold' : 'Unfold');
    this.folding.title = this.say(anyOpen ? 'Fold every block into one card' : 'Show every layer');
  }

  private foldAll(): void {
    const names = this.layout.blocks.map((block) => block.name);
    this.open = new Set(this.open.size > 0 ? [] : names);
    this.moved = false;
    this.arrange();
    this.frameOnce();
    this.redraw();
  }

  /** Opens a block, or folds it again; its beginning stays in sight. */
  private toggle(block: Block, node: number): void {
    const opens = !this.open.has(block.name);
    if (opens) this.open.add(block.name);
    else this.open.delete(block.name);
    this.arrange();
    this.frameOnce();
    const card = this.cardOf(node);
    if (card) this.look(reveal(this.camera, card, this.size));
    this.options.onAnnounce?.(this.say(opens ? '%1 is open' : '%1 is folded', block.name));
    this.redraw();
  }

  /** Opens the block that hides a layer, and what is folded within that. */
  private unfold(node: number): void {
    let block = this.cardOf(node)?.block;
    while (block) {
      this.toggle(block, node);
      block = this.cardOf(node)?.block;
    }
  }

  /** Shows the weights of first layers in their units, where these are large enough. */
  setFilters(filters: readonly RawFilters[]): void {
    this.filters = new Filters(filters);
    this.redraw();
  }

  /** Shows which units are gone once `moment` steps have been taken. */
  setState(state: UnitState, moment: number): void {
    const forth = moment === this.moment + 1;
    this.state = state;
    if (moment !== this.moment) this.faded = forth && !quiet() ? performance.now() : 0;
    this.moment = moment;
    this.tiles.clear();
    this.redraw();
  }

  /** How far the removals of the last step have faded; a frame follows while they do. */
  private fade(): number {
    if (this.faded === 0) return 1;
    const share = (performance.now() - this.faded) / FADE_MS;
    if (share < 1) {
      this.redraw();
      return share;
    }
    this.faded = 0;
    return 1;
  }

  setSelected(selection: Selection | null): void {
    this.selected = selection;
    if (selection) this.unfold(selection.node);
    const card = selection ? this.cardOf(selection.node) : undefined;
    if (card) this.look(reveal(this.camera, card, this.size));
    this.redraw();
  }

  /** Looks elsewhere; from then on the picture is not fitted by itself. */
  private look(camera: Camera): void {
    this.moved ||= camera !== this.camera;
    this.camera = camera;
  }

  /** Reads the colours again, after the page's theme has changed. */
  refreshTheme(): void {
    this.theme = readTheme(this.root);
    this.tiles.clear();
    this.redraw();
  }

  /** Whether data flows from top to bottom instead of from left to right. */
  setVertical(vertical: boolean): void {
    if (vertical === this.vertical) return;
    this.vertical = vertical;
    this.moved = false;
    this.arrange();
    this.frameOnce();
    this.redraw();
  }

  /** The structure as it is folded now, as a picture for a file. */
  picture(): SVGSVGElement {
    return structureSvg(this.frame());
  }

  fit(): void {
    const all = fitAll(this.layout, this.size);
    // A long network would be a hairline: its height is fitted, and the strip shows the rest.
    this.camera = all.scale < HAIRLINE ? firstView(this.layout, this.size) : all;
    this.redraw();
  }

  destroy(): void {
    if (this.pending) cancelAnimationFrame(this.pending);
    for (const cleanup of this.cleanups) cleanup();
    this.root.remove();
  }

  private makeToolbar(): HTMLElement {
    const button = (text: string, label: string, act: () => void): HTMLElement => {
      const made = element('button', { type: 'button', title: label, 'aria-label': label }, text);
      made.addEventListener('click', act);
      return made;
    };
    const middle = (): [number, number] => [this.size.width / 2, this.size.height / 2];
    return element(
      'div',
      { class: 'paoding-structure-bar' },
      this.searchField,
      this.searchCount,
      element('span', { class: 'paoding-spring' }),
      this.folding,
      button('−', this.say('Zoom out'), () => this.zoom(1 / ZOOM_STEP, ...middle())),
      button('+', this.say('Zoom in'), () => this.zoom(ZOOM_STEP, ...middle())),
      button(this.say('Fit'), this.say('Show the whole structure'), () => this.fit()),
      ...(this.options.saves ? this.makeSaves(button) : []),
    );
  }

  private makeSaves(
    button: (text: string, label: string, act: () => void) => HTMLElement,
  ): HTMLElement[] {
    const name = (): string => this.scene.name || 'structure';
    return [
      button(
        'PNG',
        this.say('Save the structure as PNG'),
        () => void savePng(this.picture(), name()),
      ),
      button('SVG', this.say('Save the structure as SVG'), () => saveSvg(this.picture(), name())),
    ];
  }

  private makeLegend(): HTMLElement {
    const item = (kind: string, text: string): HTMLElement =>
      element(
        'span',
        {},
        element('i', { class: `paoding-key paoding-key-${kind}`, 'aria-hidden': 'true' }),
        this.say(text),
      );
    return element(
      'div',
      { class: 'paoding-legend' },
      item('scale', 'importance: low to high in its layer'),
      item('gone', 'removed'),
      item('fresh', 'removed in this step'),
      item('arc', 'merged into'),
      item('free', 'free: provably never matters'),
      item('kept', 'cannot go'),
      element(
        'span',
        {
          class: 'paoding-hint',
          title: this.say('Large enough, units of the first layers show their weights'),
        },
        this.say('drag to pan · Ctrl + wheel to zoom · arrow keys to walk'),
      ),
    );
  }

  private listen(): void {
    const on = <T extends Event>(
      target: EventTarget,
      type: string,
      act: (event: T) => void,
      options?: AddEventListenerOptions,
    ): void => {
      const listener = act as EventListener;
      target.addEventListener(type, listener, options);
      this.cleanups.push(() => target.removeEventListener(type, listener, options));
    };
    on(this.canvas, 'wheel', (event: WheelEvent) => this.onWheel(event), { passive: false });
    on(this.canvas, 'pointerdown', (event: PointerEvent) => this.onPress(event));
    on(this.canvas, 'pointermove', (event: PointerEvent) => this.onHover(event));
    on(this.canvas, 'pointerleave', () => this.hover(null, 0, 0));
    on(this.canvas, 'dblclick', (event: MouseEvent) => this.onDoubleClick(event));
    on(this.canvas, 'keydown', (event: KeyboardEvent) => this.onKey(event));
    on(this.canvas, 'blur', () => this.focusOn(null));
    on(this.overview, 'pointerdown', (event: PointerEvent) => this.onOverview(event));
    on(this.overview, 'pointermove', (event: PointerEvent) => {
      if (event.buttons === 1) this.onOverview(event);
    });
    on(this.searchField, 'input', () => this.onSearch());
    on(this.searchField, 'keydown', (event: KeyboardEvent) => this.onSearchKey(event));
    this.watchSize();
    this.watchTheme();
  }

  private watchSize(): void {
    if (typeof ResizeObserver === 'undefined') return;
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(this.canvas);
    this.cleanups.push(() => observer.disconnect());
  }

  private watchTheme(): void {
    const observer = new MutationObserver(() => this.refreshTheme());
    observer.observe(document.body, {
      attributes: true,
      attributeFilter: ['data-jp-theme-name', 'data-jp-theme-light', 'class'],
    });
    this.cleanups.push(() => observer.disconnect());
  }

  /** Called when the canvas gets its size; a hidden canvas has none. */
  resize(): void {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (width === 0 || height === 0) return;
    const ratio = globalThis.devicePixelRatio || 1;
    // The first size means that the element is attached: only now can the page's theme be read.
    if (this.size.width === 0) this.refreshTheme();
    this.size = { width, height };
    this.arrange();
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.overview.width = Math.round(width * ratio);
    this.overview.height = Math.round(OVERVIEW_HEIGHT * ratio);
    this.frameOnce();
    this.redraw();
  }

  private frameOnce(): void {
    if (this.moved || this.size.width === 0 || this.layout.cards.length === 0) return;
    this.camera = firstView(this.layout, this.size);
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.paint();
    });
  }

  private paint(): void {
    const context = this.canvas.getContext('2d');
    if (!context || this.size.width === 0) return;
    const ratio = globalThis.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const frame = this.frame();
    drawFrame(context, frame);
    const partly =
      this.layout.width * this.camera.scale > this.size.width + 1 ||
      this.layout.height * this.camera.scale > this.size.height + 1;
    // From top to bottom a strip would be as flat as its lines are.
    this.overview.hidden = !partly || this.vertical;
    const strip = !this.overview.hidden ? this.overview.getContext('2d') : null;
    if (strip) {
      strip.setTransform(ratio, 0, 0, ratio, 0, 0);
      drawOverview(strip, frame, this.size.width, OVERVIEW_HEIGHT);
    }
  }

  private frame(): Frame {
    return {
      scene: this.scene,
      layout: this.layout,
      state: this.state,
      moment: this.moment,
      camera: this.camera,
      width: this.size.width,
      height: this.size.height,
      theme: this.theme,
      fade: this.fade(),
      tiles: this.tiles,
      filters: this.filters,
      say: this.say,
      marks: {
        selected: this.selected,
        focused: this.focused,
        hovered: this.hovered,
        found: this.searching ? new Set(this.found) : null,
      },
    };
  }

  private cardOf(node: number): Card | undefined {
    return this.layout.cards[this.layout.cardOf[node] ?? -1];
  }

  /** The layer or unit under a point of the canvas. */
  private at(x: number, y: number): Selection | null {
    const { scale } = this.camera;
    const worldX = (x - this.camera.x) / scale;
    const worldY = (y - this.camera.y) / scale;
    for (const card of this.layout.cards) {
      const inside =
        worldX >= card.x &&
        worldX <= card.x + card.width &&
        worldY >= card.y &&
        worldY <= card.y + card.height;
      if (!inside) continue;
      if (card.block) return { node: card.main, unit: -1 };
      const node = this.scene.nodes[card.main];
      const group = node ? this.scene.groups[node.group] : undefined;
      const pickable = group?.prunable === true && card.cell * scale >= 2;
      const cell = pickable ? cellAt(card, node?.units ?? 0, worldX, worldY) : -1;
      const unit = node && cell >= 0 ? unitOfCell(node, cell) : -1;
      return unit >= 0 ? { node: card.main, unit } : { node: memberAt(card, worldY), unit: -1 };
    }
    return null;
  }

  private zoom(factor: number, x: number, y: number): void {
    this.moved = true;
    this.camera = keepInSight(zoomAt(this.camera, factor, x, y), this.layout, this.size);
    this.redraw();
  }

  private pan(dx: number, dy: number): void {
    this.moved = true;
    const moved = { ...this.camera, x: this.camera.x + dx, y: this.camera.y + dy };
    this.camera = keepInSight(moved, this.layout, this.size);
    this.redraw();
  }

  private onWheel(event: WheelEvent): void {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0022), event.offsetX, event.offsetY);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.pan(-(event.deltaX || event.deltaY), 0);
    }
  }

  private onPress(event: PointerEvent): void {
    if (event.button !== 0) return;
    const start = { x: event.clientX, y: event.clientY };
    let last = start;
    let dragged = false;
    const onMove = (moved: PointerEvent): void => {
      const far = Math.hypot(moved.clientX - start.x, moved.clientY - start.y) > CLICK_SLACK;
      dragged ||= far;
      if (!dragged) return;
      this.pan(moved.clientX - last.x, moved.clientY - last.y);
      last = { x: moved.clientX, y: moved.clientY };
    };
    const onEnd = (): void => {
      this.canvas.removeEventListener('pointermove', onMove);
      this.canvas.removeEventListener('pointerup', onEnd);
      this.canvas.removeEventListener('pointercancel', onEnd);
      if (!dragged) this.click(event.offsetX, event.offsetY);
    };
    this.canvas.setPointerCapture?.(event.pointerId);
    this.canvas.addEventListener('pointermove', onMove);
    this.canvas.addEventListener('pointerup', onEnd);
    this.canvas.addEventListener('pointercancel', onEnd);
  }

  /** A folded block opens, the name of an open one folds it, a layer or unit is chosen. */
  private click(x: number, y: number): void {
    const hit = this.at(x, y);
    const block = hit ? this.cardOf(hit.node)?.block : undefined;
    const { scale } = this.camera;
    const name = hit
      ? null
      : frameAt(this.layout.frames, (x - this.camera.x) / scale, (y - this.camera.y) / scale);
    if (hit && block) this.toggle(block, hit.node);
    else if (name) this.toggle(name.block, name.block.nodes[0] as number);
    else this.choose(hit);
  }

  private choose(selection: Selection | null): void {
    if (!selection) return;
    this.unfold(selection.node);
    this.selected = selection;
    this.options.onSelect?.(selection);
    this.redraw();
  }

  private onDoubleClick(event: MouseEvent): void {
    const hit = this.at(event.offsetX, event.offsetY);
    const card = hit ? this.cardOf(hit.node) : undefined;
    if (!card) return;
    this.moved = true;
    this.camera = fitCard(card, this.size);
    this.redraw();
  }

  private onHover(event: PointerEvent): void {
    if (event.buttons !== 0) return;
    this.hover(this.at(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
  }

  private hover(selection: Selection | null, x: number, y: number): void {
    const same = this.hovered?.node === selection?.node && this.hovered?.unit === selection?.unit;
    this.hovered = selection;
    this.tooltip.hidden = selection === null;
    if (selection) {
      if (!same) {
        this.tooltip.textContent = this.describe(selection);
      }
      const right = x > this.size.width / 2;
      this.tooltip.style.left = right ? '' : `${x + 14}px`;
      this.tooltip.style.right = right ? `${this.size.width - x + 14}px` : '';
      this.tooltip.style.top = `${Math.min(y + 14, this.size.height - 44)}px`;
    }
    if (!same) this.redraw();
  }

  private describe(selection: Selection): string {
    const card = this.cardOf(selection.node);
    if (card?.block) return describeBlock(this.scene, card, this.say);
    return describe(this.scene, this.state, this.moment, selection, this.say);
  }

  private focusOn(selection: Selection | null): void {
    this.focused = selection;
    if (selection) {
      const card = this.cardOf(selection.node);
      if (card) this.camera = reveal(this.camera, card, this.size);
      this.options.onAnnounce?.(this.describe(selection));
    }
    this.redraw();
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const start = this.layout.cards[0];
    const from = this.focused ?? this.selected ?? (start ? { node: start.main, unit: -1 } : null);
    if (!from) return;
    if (isArrow(event.key)) {
      const fresh = this.focused === null && this.selected === null;
      this.focusOn(fresh ? from : move(this.scene, this.layout, from, event.key));
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.enter(from);
    } else if (event.key === 'Escape' && from.unit >= 0) {
      this.focusOn({ node: from.node, unit: -1 });
    } else if (event.key === 'Escape' && this.frameOf(from.node)) {
      const block = this.frameOf(from.node) as Block;
      this.toggle(block, from.node);
      this.focusOn(from);
    } else if (event.key === '+' || event.key === '=') {
      this.zoom(ZOOM_STEP, this.size.width / 2, this.size.height / 2);
    } else if (event.key === '-') {
      this.zoom(1 / ZOOM_STEP, this.size.width / 2, this.size.height / 2);
    } else if (event.key === '0') {
      this.fit();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** Enter chooses; Enter on the layer that is already chosen goes in among its units. */
  private enter(from: Selection): void {
    const block = this.cardOf(from.node)?.block;
    if (block) {
      this.toggle(block, from.node);
      this.focusOn(from);
      return;
    }
    const node = this.scene.nodes[from.node];
    const again = this.selected?.node === from.node && from.unit < 0;
    const walkable = this.scene.groups[node?.group ?? -1]?.prunable === true;
    if (again && walkable && (node?.units ?? 0) > 0) {
      const first = node?.map?.find((unit) => unit >= 0) ?? 0;
      this.focusOn({ node: from.node, unit: first });
    } else {
      this.choose(from);
      this.focusOn(from);
    }
  }

  /** The innermost open block that a layer is in. */
  private frameOf(node: number): Block | undefined {
    return this.layout.blocks.findLast(
      (block) => this.open.has(block.name) && block.nodes.includes(node),
    );
  }

  private onOverview(event: PointerEvent): void {
    this.moved = true;
    const { scale } = this.camera;
    const x = (event.offsetX / Math.max(1, this.size.width)) * this.layout.width;
    const y = (event.offsetY / OVERVIEW_HEIGHT) * this.layout.height;
    const moved = {
      scale,
      x: this.size.width / 2 - x * scale,
      y: this.size.height / 2 - y * scale,
    };
    this.camera = keepInSight(moved, this.layout, this.size);
    this.redraw();
  }

  private onSearch(): void {
    this.searching = this.searchField.value.trim() !== '';
    this.found = search(this.scene, this.searchField.value);
    this.foundAt = 0;
    this.showFound();
  }

  private onSearchKey(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === 'Escape') {
      this.searchField.value = '';
      this.onSearch();
    } else if (event.key === 'Enter' && this.found.length > 0) {
      const node = this.found[this.foundAt % this.found.length] as number;
      this.choose({ node, unit: -1 });
      this.foundAt += event.shiftKey ? this.found.length - 1 : 1;
      this.showFound(node);
    }
  }

  private showFound(node = this.found[0]): void {
    this.searchCount.textContent = this.searching ? this.say('%1 found', this.found.length) : '';
    const card = node === undefined ? undefined : this.cardOf(node);
    if (card && this.searching) this.look(centre(this.camera, card, this.size));
    this.redraw();
  }
}
