/** Draws the structure on a canvas: only what is visible, and in less detail when it is small. */

import { shortAttributes } from './attributes';
import { drawBlock, drawFrames, drawShapes as drawShapeLabels } from './drawBlock';
import type { Filters } from './filters';
import {
  type Card,
  type Edge,
  gridLeft,
  HEADER,
  type Layout,
  MEMBER_LINE,
  memberLines,
  PADDING,
  unitCentre,
} from './layout';
import type { Say } from './say';
import {
  cellOfUnit,
  flatIndex,
  formatCount,
  isRemoved,
  lastRemovals,
  livingCells,
  type Scene,
  type SceneGroup,
  type SceneNode,
  type Selection,
  type UnitState,
} from './scene';
import { relativeImportance, SHADES, shades, type Theme } from './theme';

export interface Camera {
  /** Screen pixels per unit of the layout. */
  scale: number;
  /** Screen position of the layout's origin. */
  x: number;
  y: number;
}

export interface Marks {
  selected: Selection | null;
  focused: Selection | null;
  hovered: Selection | null;
  /** Nodes that the search found, or null when nothing is searched. */
  found: ReadonlySet<number> | null;
}

export interface Frame {
  scene: Scene;
  layout: Layout;
  state: UnitState;
  moment: number;
  camera: Camera;
  width: number;
  height: number;
  theme: Theme;
  marks: Marks;
  /** How far the last removals have come, 0 (still there) to 1 (gone, their share handed on). */
  fade: number;
  /** Pictures of whole grids, kept between frames. */
  tiles: TileCache;
  /** In whose language its texts are. */
  say: Say;
  /** Weights of the first layers' units as pictures. */
  filters?: Filters;
}

/** Below this many pixels a unit is one dot of a picture instead of a shape of its own. */
const SHAPE_PIXELS = 4;
/** Below this many pixels a struck-out unit has no room for its stroke. */
const STRIKE_PIXELS = 5;
/** From so many pixels on a unit of a first layer shows its weights. */
const PICTURE_PIXELS = 14;
const TEXT_SCALE = 0.42;
/** Radius of the corners of lines that lead around a row. */
const CORNER = 8;

type Point = Edge['points'][number];

export class TileCache {
  private tiles = new Map<number, HTMLCanvasElement>();
  private relative = new Map<number, Float32Array>();

  clear(): void {
    this.tiles.clear();
    this.relative.clear();
  }

  /** Relative importance of a group's units, computed once per state. */
  importance(index: number, group: SceneGroup, state: UnitState): Float32Array {
    let known = this.relative.get(index);
    if (!known) {
      known = relativeImportance(state.importance.subarray(group.start, group.start + group.units));
      this.relative.set(index, known);
    }
    return known;
  }

  /** One dot per unit; drawn scaled, so that thousands of units cost one call. */
  tile(frame: Frame, card: Card, node: SceneNode, group: SceneGroup): HTMLCanvasElement | null {
    const cached = this.tiles.get(card.main);
    if (cached) return cached;
    const canvas = document.createElement('canvas');
    canvas.width = card.columns;
    canvas.height = card.rows;
    const context = canvas.getContext('2d');
    if (!context) return null;
    const palette = shades(frame.theme);
    const values = this.importance(node.group, group, frame.state);
    for (let cell = 0; cell < node.units; cell++) {
      const at = flatIndex(frame.scene, node, cell);
      if (isHollow(frame, at)) continue;
      context.fillStyle = shade(palette, values[at - group.start] as number);
      context.fillRect(cell % card.columns, Math.floor(cell / card.columns), 1, 1);
    }
    this.tiles.set(card.main, canvas);
    return canvas;
  }
}

/** Units that are gone or can't go have no colour: there is nothing to compare. */
function isHollow({ state, moment }: Frame, at: number): boolean {
  return at < 0 || state.removedAt[at] === -2 || isRemoved(state, at, moment);
}

function shade(palette: string[], relative: number): string {
  const at = Number.isNaN(relative) ? 0.5 : relative;
  return palette[Math.min(SHADES - 1, Math.floor(at * SHADES))] as string;
}

export function drawFrame(context: CanvasRenderingContext2D, frame: Frame): void {
  const { camera, theme, width, height } = frame;
  context.save();
  context.fillStyle = theme.background;
  context.fillRect(0, 0, width, height);
  context.translate(camera.x, camera.y);
  context.scale(camera.scale, camera.scale);
  drawFrames(context, frame);
  drawEdges(context, frame);
  drawShapeLabels(context, frame);
  const coupled = coupledGroup(frame);
  frame.layout.cards.forEach((card) => {
    if (isVisible(card, frame)) drawCard(context, frame, card, coupled);
  });
  drawFading(context, frame);
  drawMerges(context, frame);
  drawMarks(context, frame);
  context.restore();
}

function isVisible(card: Card, { camera, width, height }: Frame): boolean {
  const left = card.x * camera.scale + camera.x;
  const top = card.y * camera.scale + camera.y;
  return (
    left < width &&
    top < height &&
    left + card.width * camera.scale > 0 &&
    top + card.height * camera.scale > 0
  );
}

/** The group that lights up: the hovered one before the selected one. */
function coupledGroup({ scene, marks }: Frame): number {
  for (const mark of [marks.hovered, marks.selected]) {
    const node = mark ? scene.nodes[mark.node] : undefined;
    if (node && node.group >= 0) return node.group;
  }
  return -1;
}

function drawEdges(context: CanvasRenderingContext2D, frame: Frame): void {
  const { layout, theme, camera, width, height } = frame;
  context.strokeStyle = theme.border;
  context.lineWidth = Math.max(1.4, 0.8 / camera.scale);
  for (const edge of layout.edges) {
    const first = edge.points[0];
    const last = edge.points[edge.points.length - 1];
    if (!first || !last) continue;
    const leftmost = Math.min(...edge.points.map((point) => point.x)) * camera.scale + camera.x;
    const rightmost = Math.max(...edge.points.map((point) => point.x)) * camera.scale + camera.x;
    if (rightmost < 0 || leftmost > width) continue;
    const lowest = Math.max(...edge.points.map((point) => point.y)) * camera.scale + camera.y;
    const highest = Math.min(...edge.points.map((point) => point.y)) * camera.scale + camera.y;
    if (lowest < 0 || highest > height) continue;
    context.stroke(new Path2D(edgePath(edge, layout.vertical)));
    context.fillStyle = theme.border;
    context.fill(new Path2D(arrowHead(last, layout.vertical)));
  }
}

/** An edge as an SVG path: it leaves and arrives along the flow; around rows it runs straight. */
export function edgePath(edge: Edge, vertical: boolean): string {
  return edge.points
    .map((to, index) => {
      const from = edge.points[index - 1];
      if (!from) return `M${to.x} ${to.y}`;
      if (edge.wraps) return rounded(from, to, edge.points[index + 1]);
      const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
      const bends = vertical ? `${from.x} ${y} ${to.x} ${y}` : `${x} ${from.y} ${x} ${to.y}`;
      return `C${bends} ${to.x} ${to.y}`;
    })
    .join('');
}

/** A line to a point, with a round corner where another follows. */
function rounded(from: Point, to: Point, after: Point | undefined): string {
  if (!after) return `L${to.x} ${to.y}`;
  const towards = (other: Point): string => {
    const length = Math.hypot(other.x - to.x, other.y - to.y) || 1;
    const share = Math.min(CORNER, length / 2) / length;
    return `${to.x + (other.x - to.x) * share} ${to.y + (other.y - to.y) * share}`;
  };
  return `L${towards(from)}Q${to.x} ${to.y} ${towards(after)}`;
}

export function arrowHead(tip: { x: number; y: number }, vertical: boolean): string {
  return vertical ? `M${tip.x} ${tip.y}l-4 -7h8z` : `M${tip.x} ${tip.y}l-7 -4v8z`;
}

function drawCard(
  context: CanvasRenderingContext2D,
  frame: Frame,
  card: Card,
  coupled: number,
): void {
  const { scene, theme, marks, camera } = frame;
  const node = scene.nodes[card.main] as SceneNode;
  const group = scene.groups[node.group];
  const dimmed =
    marks.found !== null && !card.members.some((member) => marks.found?.has(member) === true);
  context.globalAlpha = dimmed ? 0.25 : 1;
  if (card.block) {
    drawBlock(context, frame, card);
    context.globalAlpha = 1;
    return;
  }
  const lit = coupled >= 0 && node.group === coupled && node.units > 0;
  context.fillStyle = theme.card;
  context.strokeStyle = lit ? theme.accent : theme.border;
  context.lineWidth = lit ? Math.max(2, 1.5 / camera.scale) : Math.max(1, 0.6 / camera.scale);
  context.beginPath();
  context.roundRect(card.x, card.y, card.width, card.height, 6);
  context.fill();
  context.stroke();
  const stripe = theme.kinds[node.kind ?? ''];
  if (stripe) {
    context.fillStyle = stripe;
    context.fillRect(card.x, card.y + 6, 3, card.height - 12);
  }
  if (node.units > 0) drawUnits(context, frame, card, node, group);
  if (camera.scale >= TEXT_SCALE) drawCardText(context, frame, card, node, group);
  context.globalAlpha = 1;
}

function drawCardText(
  context: CanvasRenderingContext2D,
  frame: Frame,
  card: Card,
  node: SceneNode,
  group: SceneGroup | undefined,
): void {
  const { theme, scene } = frame;
  const room = card.width - 2 * PADDING;
  context.textBaseline = 'alphabetic';
  context.fillStyle = theme.text;
  context.font = `600 11px ${theme.font}`;
  context.fillText(clip(context, shortName(node, card), room), card.x + PADDING, card.y + 14);
  context.fillStyle = theme.muted;
  context.font = `10px ${theme.font}`;
  context.fillText(
    clip(
      context,
      subtitle(frame, node, group, (text) => context.measureText(text).width <= room),
      room,
    ),
    card.x + PADDING,
    card.y + 27,
  );
  const lines = memberLines(card);
  const first = card.y + card.height - lines * MEMBER_LINE - 3;
  for (let line = 0; line < lines; line++) {
    const more = card.members.length - 1 - lines;
    const member = scene.nodes[card.members[line + 1] as number] as SceneNode;
    const text =
      line === lines - 1 && more > 0 ? frame.say('… and %1 more', more + 1) : `→ ${member.op}`;
    context.fillText(
      clip(context, text, room),
      card.x + PADDING,
      first + (line + 1) * MEMBER_LINE - 4,
    );
  }
}

/** Within an open block its name need not be repeated. */
function shortName(node: SceneNode, card: Card): string {
  const { within } = card;
  if (within && node.name.startsWith(`${within}_`)) return `…${node.name.slice(within.length)}`;
  if (within && node.name.startsWith(`${within}/`)) return node.name.slice(within.length + 1);
  return node.name;
}

export function subtitle(
  frame: Pick<Frame, 'scene' | 'state' | 'moment' | 'say'>,
  node: SceneNode,
  group: SceneGroup | undefined,
  fits: (text: string) => boolean = () => true,
): string {
  const type = `${node.op}${shortAttributes(node.attributes)}`;
  const plain = subtitleOf(frame, node, group, node.op);
  // Where room is short, units that are left count more than the kernel; shapes stand on arrows.
  const all = [subtitleOf(frame, node, group, type), plain, ...(node.units === 0 ? [type] : [])];
  return all.find(fits) ?? plain;
}

function subtitleOf(
  frame: Pick<Frame, 'scene' | 'state' | 'moment' | 'say'>,
  node: SceneNode,
  group: SceneGroup | undefined,
  type: string,
): string {
  if (node.units === 0) return node.detail ? `${type} · ${node.detail}` : type;
  if (!group?.prunable) return `${type} · ${formatCount(node.units)} · ${frame.say('kept')}`;
  const living = livingCells(frame.scene, frame.state, frame.moment, node);
  const count =
    living < node.units
      ? frame.say('%1 of %2', formatCount(living), formatCount(node.units))
      : formatCount(node.units);
  return `${type} · ${count}`;
}

/** Shortens a text with an ellipsis until it fits. */
function clip(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (context.measureText(`${text.slice(0, middle)}…`).width <= room) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

function drawUnits(
  context: CanvasRenderingContext2D,
  frame: Frame,
  card: Card,
  node: SceneNode,
  group: SceneGroup | undefined,
): void {
  const pixels = card.cell * frame.camera.scale;
  if (!group?.prunable) {
    drawKeptUnits(context, frame, card, node, pixels);
  } else if (pixels < SHAPE_PIXELS) {
    drawTile(context, frame, card, node, group);
  } else {
    drawShapes(context, frame, card, node, group, pixels >= STRIKE_PIXELS);
  }
}

/** Units that can't go are outlines without a colour: there is nothing to compare. */
function drawKeptUnits(
  context: CanvasRenderingContext2D,
  frame: Frame,
  card: Card,
  node: SceneNode,
  pixels: number,
): void {
  const left = card.x + gridLeft(card);
  const top = card.y + HEADER;
  context.strokeStyle = frame.theme.border;
  context.fillStyle = frame.theme.border;
  context.lineWidth = 1;
  if (pixels < SHAPE_PIXELS) {
    context.strokeRect(left, top, card.columns * card.cell, card.rows * card.cell);
    return;
  }
  const side = card.cell - 2;
  for (let unit = 0; unit < node.units; unit++) {
    const x = left + (unit % card.columns) * card.cell;
    const y = top + Math.floor(unit / card.columns) * card.cell;
    context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
  }
}

function drawTile(
  context: CanvasRenderingContext2D,
  frame: Frame,
  card: Card,
  node: SceneNode,
  group: SceneGroup,
): void {
  const left = card.x + gridLeft(card);
  const top = card.y + HEADER;
  context.strokeStyle = frame.theme.border;
  context.lineWidth = 0.5;
  const tile = frame.tiles.tile(frame, card, node, group);
  if (tile) {
    context.imageSmoothingEnabled = card.cell * frame.camera.scale < 1;
    context.drawImage(tile, left, top, card.columns * card.cell, card.rows * card.cell);
  }
}

function drawShapes(
  context: CanvasRenderingContext2D,
  frame: Frame,
  card: Card,
  node: SceneNode,
  group: SceneGroup,
  strike: boolean,
): void {
  const { state, moment, theme, camera } = frame;
  const palette = shades(theme);
  const values = frame.tiles.importance(node.group, group, state);
  const left = card.x + gridLeft(card);
  const top = card.y + HEADER;
  const gap = card.cell >= 7 ? 2 : 1;
  const side = card.cell - gap;
  // Rows outside of the window are skipped: a wide layer zoomed in has thousands of others.
  const firstRow = Math.max(0, Math.floor((-camera.y / camera.scale - top) / card.cell));
  const bottom = (frame.height - camera.y) / camera.scale;
  const lastRow = Math.min(card.rows - 1, Math.floor((bottom - top) / card.cell));
  const pictures = card.cell * camera.scale >= PICTURE_PIXELS ? frame.filters : undefined;
  const gone = new Path2D();
  const fresh = new Path2D();
  const kept = new Path2D();
  const free = new Path2D();
  for (let row = firstRow; row <= lastRow; row++) {
    for (let column = 0; column < card.columns; column++) {
      const cell = row * card.columns + column;
      if (cell >= node.units) break;
      const x = left + column * card.cell;
      const y = top + row * card.cell;
      const at = flatIndex(frame.scene, node, cell);
      if (at < 0 || state.removedAt[at] === -2) {
        kept.rect(x + 0.5, y + 0.5, side - 1, side - 1);
      } else if (isRemoved(state, at, moment)) {
        const path = state.removedAt[at] === moment - 1 ? fresh : gone;
        path.rect(x + 0.5, y + 0.5, side - 1, side - 1);
        if (strike) {
          path.moveTo(x + 0.5, y + side - 0.5);
          path.lineTo(x + side - 0.5, y + 0.5);
        }
      } else {
        context.fillStyle = shade(palette, values[at - group.start] as number);
        context.fillRect(x, y, side, side);
        pictures?.draw(context, card.main, cell, x + 0.7, y + 0.7, side - 1.4);
        if (strike && state.free[at] === 1) {
          free.rect(x + side / 2 - side * 0.2, y + side / 2 - side * 0.2, side * 0.4, side * 0.4);
        }
      }
    }
  }
  context.fillStyle = theme.warn;
  context.fill(free);
  context.lineWidth = 0.9;
  context.strokeStyle = theme.border;
  context.stroke(kept);
  context.strokeStyle = theme.removed;
  context.globalAlpha *= 0.75;
  context.stroke(gone);
  context.globalAlpha /= 0.75;
  context.lineWidth = 1.5;
  context.strokeStyle = theme.warn;
  context.stroke(fresh);
}

/** Arcs from each unit that the last step removed to the unit that took it over. */
function drawMerges(context: CanvasRenderingContext2D, frame: Frame): void {
  const { scene, layout, theme, camera, marks } = frame;
  const merges = lastRemovals(scene, frame.state, frame.moment).filter((merge) => merge.into >= 0);
  if (merges.length === 0) return;
  const byGroup = new Map<number, Card[]>();
  for (const card of layout.cards) {
    const node = scene.nodes[card.main] as SceneNode;
    if (node.units === 0 || card.cell * camera.scale < 2 || !isVisible(card, frame)) continue; // a folded block's cell is 0
    byGroup.set(node.group, [...(byGroup.get(node.group) ?? []), card]);
  }
  const chosen = marks.selected;
  context.lineWidth = Math.max(1, 0.9 / camera.scale);
  context.strokeStyle = theme.warn;
  context.fillStyle = theme.warn;
  for (const merge of merges) {
    for (const card of byGroup.get(merge.group) ?? []) {
      const involved =
        !chosen ||
        chosen.unit < 0 ||
        scene.nodes[chosen.node]?.group !== merge.group ||
        chosen.unit === merge.from ||
        chosen.unit === merge.into;
      context.globalAlpha = involved ? 0.85 : 0.2;
      const node = scene.nodes[card.main] as SceneNode;
      const from = cellOfUnit(node, merge.from);
      const into = cellOfUnit(node, merge.into);
      if (from < 0 || into < 0) continue;
      const [start, end] = [unitCentre(card, from), unitCentre(card, into)];
      drawArc(context, start, end, card.cell);
      if (frame.fade < 1) drawShare(context, start, end, card.cell, frame.fade);
    }
  }
  context.globalAlpha = 1;
}

function drawArc(
  context: CanvasRenderingContext2D,
  from: { x: number; y: number },
  to: { x: number; y: number },
  cell: number,
): void {
  const bow = 0.22;
  const middleX = (from.x + to.x) / 2 - (to.y - from.y) * bow;
  const middleY = (from.y + to.y) / 2 + (to.x - from.x) * bow;
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.quadraticCurveTo(middleX, middleY, to.x, to.y);
  context.stroke();
  // The survivor carries a dot, so that the direction can be read without the colour.
  context.beginPath();
  context.arc(to.x, to.y, Math.max(1.4, cell * 0.24), 0, 2 * Math.PI);
  context.fill();
}

/** What a removed unit hands on, on its way to the survivor. */
function drawShare(
  context: CanvasRenderingContext2D,
  from: { x: number; y: number },
  to: { x: number; y: number },
  cell: number,
  at: number,
): void {
  const bow = 0.22;
  const middleX = (from.x + to.x) / 2 - (to.y - from.y) * bow;
  const middleY = (from.y + to.y) / 2 + (to.x - from.x) * bow;
  const on = (start: number, middle: number, end: number): number =>
    (1 - at) ** 2 * start + 2 * (1 - at) * at * middle + at ** 2 * end;
  context.beginPath();
  context.arc(
    on(from.x, middleX, to.x),
    on(from.y, middleY, to.y),
    Math.max(2, cell * 0.36),
    0,
    2 * Math.PI,
  );
  context.fill();
}

/** Units of the last step that are still fading. */
function drawFading(context: CanvasRenderingContext2D, frame: Frame): void {
  if (frame.fade >= 1) return;
  const gone = lastRemovals(frame.scene, frame.state, frame.moment);
  context.fillStyle = frame.theme.warn;
  context.globalAlpha = 0.8 * (1 - frame.fade);
  for (const { group, from } of gone) {
    for (const card of frame.layout.cards) {
      const node = frame.scene.nodes[card.main] as SceneNode;
      if (card.block || node.group !== group || node.units === 0) continue;
      if (!isVisible(card, frame)) continue;
      const cell = cellOfUnit(node, from);
      if (cell < 0) continue;
      const centre = unitCentre(card, cell);
      const side = card.cell * 0.8;
      context.fillRect(centre.x - side / 2, centre.y - side / 2, side, side);
    }
  }
  context.globalAlpha = 1;
}

function drawMarks(context: CanvasRenderingContext2D, frame: Frame): void {
  const { marks, theme } = frame;
  if (marks.hovered) outline(context, frame, marks.hovered, theme.accent, []);
  if (marks.selected) outline(context, frame, marks.selected, theme.accent, []);
  if (marks.focused) outline(context, frame, marks.focused, theme.text, [3, 2]);
}

function outline(
  context: CanvasRenderingContext2D,
  frame: Frame,
  mark: Selection,
  colour: string,
  dash: number[],
): void {
  const { scene, layout, camera } = frame;
  const node = scene.nodes[mark.node];
  const own = layout.cards[layout.cardOf[mark.node] as number];
  if (!node || !own) return;
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1.8, 1.6 / camera.scale);
  context.setLineDash(dash.map((length) => length / Math.min(1, camera.scale)));
  if (mark.unit < 0) {
    context.beginPath();
    context.roundRect(own.x - 2, own.y - 2, own.width + 4, own.height + 4, 8);
    context.stroke();
  } else {
    // A coupled unit is one unit wherever it shows: mark it on every card of its group.
    for (const card of layout.cards) {
      const other = scene.nodes[card.main] as SceneNode;
      if (card.block || other.units === 0 || other.group !== node.group) continue;
      const cell = cellOfUnit(other, mark.unit);
      if (cell < 0) continue;
      const centre = unitCentre(card, cell);
      const side = Math.max(card.cell + 1, 5 / camera.scale);
      context.strokeRect(centre.x - side / 2, centre.y - side / 2, side, side);
    }
  }
  context.setLineDash([]);
}

/** The whole structure in a strip, each card filled by the share of its units that are left. */
export function drawOverview(
  context: CanvasRenderingContext2D,
  frame: Frame,
  width: number,
  height: number,
): void {
  const { layout, scene, theme, camera } = frame;
  context.fillStyle = theme.background;
  context.fillRect(0, 0, width, height);
  const scaleX = width / Math.max(1, layout.width);
  const scaleY = height / Math.max(1, layout.height);
  for (const card of layout.cards) {
    const node = scene.nodes[card.main] as SceneNode;
    const found = frame.marks.found?.has(card.main) === true;
    context.fillStyle = found ? theme.accent : node.units > 0 ? theme.removed : theme.border;
    const boxWidth = Math.max(1.5, card.width * scaleX - 0.5);
    context.fillRect(
      card.x * scaleX,
      card.y * scaleY,
      boxWidth,
      Math.max(1.5, card.height * scaleY),
    );
  }
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  context.strokeRect(
    (-camera.x / camera.scale) * scaleX,
    Math.max(0.75, (-camera.y / camera.scale) * scaleY),
    (frame.width / camera.scale) * scaleX,
    Math.min(height - 1.5, (frame.height / camera.scale) * scaleY),
  );
}
