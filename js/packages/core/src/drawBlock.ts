/** Draws folded blocks as cards with one bar a layer, and a frame around the layers of open ones. */

import type { Frame } from './draw';
import {
  BAR_LINE,
  type BlockFrame,
  barsOf,
  type Card,
  FRAME_TOP,
  HEADER,
  MAX_BARS,
  PADDING,
} from './layout';
import { plain, type Say } from './say';
import { flatIndex, formatCount, isRemoved, type Scene, type SceneNode } from './scene';
import { mix } from './theme';

/** Below this scale a name would be a smudge. */
const NAME_SCALE = 0.42;
const NAME_ROOM = 34;

export function blockTitle(card: Card): string {
  const block = card.block;
  if (!block) return '';
  return block.count > 1 ? `${block.name} ×${block.count}` : block.name;
}

/** What a folded block holds, in a few words. */
export function describeBlock(scene: Scene, card: Card, say: Say = plain): string {
  const units = card.members.reduce((sum, at) => sum + (scene.nodes[at]?.units ?? 0), 0);
  const layers = card.members.length;
  return say(
    '%1: %2 layers, %3 units; folded, Enter opens it',
    blockTitle(card),
    layers,
    formatCount(units),
  );
}

export function drawBlock(context: CanvasRenderingContext2D, frame: Frame, card: Card): void {
  const { theme, camera, scene } = frame;
  // A second outline behind it: there is more than one.
  if ((card.block?.count ?? 1) > 1) {
    context.strokeStyle = theme.border;
    context.lineWidth = Math.max(1, 0.6 / camera.scale);
    context.beginPath();
    context.roundRect(card.x + 4, card.y - 4, card.width, card.height, 6);
    context.stroke();
  }
  context.fillStyle = theme.card;
  context.strokeStyle = theme.text;
  context.lineWidth = Math.max(1, 0.6 / camera.scale);
  context.beginPath();
  context.roundRect(card.x, card.y, card.width, card.height, 6);
  context.fill();
  context.stroke();
  drawBars(context, frame, card);
  if (camera.scale < NAME_SCALE) return;
  context.textBaseline = 'alphabetic';
  context.fillStyle = theme.text;
  context.font = `600 11px ${theme.font}`;
  const room = card.width - 2 * PADDING - 10;
  context.fillText(`▸ ${fitted(context, blockTitle(card), room)}`, card.x + PADDING, card.y + 14);
  context.fillStyle = theme.muted;
  context.font = `10px ${theme.font}`;
  const shape = lastShape(scene, card);
  const about = `${frame.say('%1 layers', card.members.length)}${shape ? ` · ${shape}` : ''}`;
  context.fillText(fitted(context, about, room + 10), card.x + PADDING, card.y + 27);
}

/** One bar a layer: what is left of its units, what the last step took, what went before. */
function drawBars(context: CanvasRenderingContext2D, frame: Frame, card: Card): void {
  const { scene, theme, state, moment } = frame;
  const bars = barsOf(scene, card).slice(0, MAX_BARS);
  const most = Math.max(1, ...bars.map((makers) => unitsOf(scene, makers)));
  const room = card.width - 2 * PADDING - NAME_ROOM;
  bars.forEach((makers, line) => {
    let living = 0;
    let fresh = 0;
    for (const at of makers) {
      const node = scene.nodes[at] as SceneNode;
      for (let cell = 0; cell < node.units; cell++) {
        const index = flatIndex(scene, node, cell);
        if (index < 0 || !isRemoved(state, index, moment)) living++;
        else if (state.removedAt[index] === moment - 1) fresh++;
      }
    }
    const all = unitsOf(scene, makers);
    const length = Math.max(8, (room * Math.log2(1 + all)) / Math.log2(1 + most));
    const y = card.y + HEADER + line * BAR_LINE;
    const x = card.x + PADDING;
    const group = scene.groups[scene.nodes[makers[0] as number]?.group ?? -1];
    const colour = mix(theme, 0.55);
    context.fillStyle = group?.prunable
      ? `rgb(${colour[0]}, ${colour[1]}, ${colour[2]})`
      : theme.border;
    context.fillRect(x, y, (length * living) / all, BAR_LINE - 4);
    context.fillStyle = theme.warn;
    context.fillRect(x + (length * living) / all, y, (length * fresh) / all, BAR_LINE - 4);
    context.strokeStyle = theme.border;
    context.lineWidth = 0.8;
    context.strokeRect(x, y, length, BAR_LINE - 4);
    if (frame.camera.scale >= NAME_SCALE) {
      context.fillStyle = theme.muted;
      context.font = `8px ${theme.font}`;
      context.textBaseline = 'alphabetic';
      context.fillText(formatCount(living), x + room + 4, y + 7);
    }
  });
}

function unitsOf(scene: Scene, makers: number[]): number {
  return makers.reduce((sum, at) => sum + (scene.nodes[at]?.units ?? 0), 0);
}

function lastShape(scene: Scene, card: Card): string {
  return scene.nodes[card.members[card.members.length - 1] as number]?.detail ?? '';
}

export function drawFrames(context: CanvasRenderingContext2D, frame: Frame): void {
  const { theme, camera, layout } = frame;
  for (const one of layout.frames) {
    context.setLineDash([5, 4]);
    context.strokeStyle = theme.muted;
    context.lineWidth = Math.max(1, 0.6 / camera.scale);
    context.strokeRect(one.x, one.y, one.width, one.height);
    context.setLineDash([]);
    if (camera.scale < NAME_SCALE) continue;
    context.fillStyle = theme.muted;
    context.font = `600 11px ${theme.font}`;
    context.textBaseline = 'alphabetic';
    const { count } = one.block;
    const part = count > 1 ? ` (${frame.say('%1 of %2', one.part + 1, count)})` : '';
    context.fillText(
      fitted(context, `▾ ${one.block.name}${part}`, one.width - 8),
      one.x + 4,
      one.y + FRAME_TOP - 6,
    );
  }
}

/** The open block whose name lies under a point. */
export function frameAt(frames: readonly BlockFrame[], x: number, y: number): BlockFrame | null {
  return (
    frames.findLast(
      (one) => x >= one.x && x <= one.x + one.width && y >= one.y && y <= one.y + FRAME_TOP,
    ) ?? null
  );
}

/** The shape of what a card hands on, above its first line. */
export function drawShapes(context: CanvasRenderingContext2D, frame: Frame): void {
  const { layout, scene, theme, camera } = frame;
  if (camera.scale < NAME_SCALE) return;
  context.fillStyle = theme.muted;
  context.font = `9px ${theme.font}`;
  context.textBaseline = 'alphabetic';
  const told = new Set<number>();
  for (const edge of layout.edges) {
    const card = layout.cards[edge.from];
    const [start, next] = edge.points;
    if (!card || !start || !next || told.has(edge.from)) continue;
    told.add(edge.from);
    const shape = lastShape(scene, card).replaceAll(' ', '');
    const room = edge.wraps ? 0 : next.x - start.x - 10;
    if (shape && layout.vertical) context.fillText(shape, start.x + 4, start.y + 11);
    if (!shape || layout.vertical || context.measureText(shape).width > room) continue;
    context.fillText(shape, start.x + 2, start.y - 4);
  }
}

function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  let kept = text;
  while (kept && context.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}
