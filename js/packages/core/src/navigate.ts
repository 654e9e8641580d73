/** Where the keyboard goes next: between layers, and between the units of a layer. */

import type { Card, Layout } from './layout';
import { cellOfUnit, type Scene, type Selection, unitOfCell } from './scene';

export type Arrow = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown';

export function isArrow(key: string): key is Arrow {
  return key === 'ArrowLeft' || key === 'ArrowRight' || key === 'ArrowUp' || key === 'ArrowDown';
}

/** The layer or unit that an arrow key leads to; stays where there is nothing further. */
export function move(scene: Scene, layout: Layout, from: Selection, arrow: Arrow): Selection {
  const card = layout.cards[layout.cardOf[from.node] as number];
  if (!card) return from;
  if (from.unit >= 0) return { node: card.main, unit: moveUnit(scene, card, from.unit, arrow) };
  const next = moveCard(layout, card, arrow);
  return { node: (next ?? card).main, unit: -1 };
}

function moveUnit(scene: Scene, card: Card, unit: number, arrow: Arrow): number {
  const node = scene.nodes[card.main];
  if (!node) return unit;
  const delta = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -card.columns,
    ArrowDown: card.columns,
  }[arrow];
  const next = cellOfUnit(node, unit) + delta;
  const there = next < 0 || next >= node.units ? -1 : unitOfCell(node, next);
  return there < 0 ? unit : there;
}

function moveCard(layout: Layout, card: Card, arrow: Arrow): Card | undefined {
  const upright = arrow === 'ArrowUp' || arrow === 'ArrowDown';
  const beside = upright !== layout.vertical;
  const sign = arrow === 'ArrowRight' || arrow === 'ArrowDown' ? 1 : -1;
  const [place, length] = layout.vertical ? (['x', 'width'] as const) : (['y', 'height'] as const);
  const middle = card[place] + card[length] / 2;
  const candidates = layout.cards.filter((other) =>
    beside
      ? other.rank === card.rank && (other[place] - card[place]) * sign > 0
      : (other.rank - card.rank) * sign > 0,
  );
  const distance = (other: Card): number =>
    (beside ? 0 : Math.abs(other.rank - card.rank) * 1e6) +
    Math.abs(other[place] + other[length] / 2 - middle);
  return candidates.sort((a, b) => distance(a) - distance(b))[0];
}

/** Nodes whose name or type holds every word of the query. */
export function search(scene: Scene, query: string): number[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const found: number[] = [];
  scene.nodes.forEach((node, index) => {
    const text = `${node.name} ${node.op}`.toLowerCase();
    if (words.every((word) => text.includes(word))) found.push(index);
  });
  return found;
}
