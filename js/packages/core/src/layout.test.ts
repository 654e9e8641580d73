import { describe, expect, test } from 'vitest';
import { firstView, fitAll, keepInSight, reveal, zoomAt } from './camera';
import { branch, chain, deep } from './fixtures';
import {
  type Card,
  cellAt,
  foldNodes,
  gridShape,
  type Layout,
  layoutScene,
  unitCentre,
} from './layout';
import { move, search } from './navigate';

const size = { width: 800, height: 400 };
const cardNamed = (layout: Layout, scene = chain(), name = 'a'): Card =>
  layout.cards.find((card) => scene.nodes[card.main]?.name === name) as Card;

function overlaps(cards: Card[]): boolean {
  return cards.some((a, i) =>
    cards
      .slice(i + 1)
      .some(
        (b) =>
          a.x < b.x + b.width &&
          b.x < a.x + a.width &&
          a.y < b.y + b.height &&
          b.y < a.y + a.height,
      ),
  );
}

describe('layout', () => {
  test('layers that only pass units on share a card with the layer before', () => {
    expect(foldNodes(chain().nodes).cards).toEqual([[0], [1, 2], [3]]);
  });

  test('a layer with several inputs has a card of its own', () => {
    const { cards } = foldNodes(branch().nodes);
    expect(cards).toContainEqual([4]);
  });

  test('data flows from left to right', () => {
    const scene = branch();
    const layout = layoutScene(scene);
    for (const edge of layout.edges) {
      const from = layout.cards[edge.from] as Card;
      const to = layout.cards[edge.to] as Card;
      expect(from.x + from.width).toBeLessThanOrEqual(to.x);
    }
  });

  test('branches lie side by side and no two cards overlap', () => {
    const scene = branch();
    const layout = layoutScene(scene);
    const side = cardNamed(layout, scene, 'side');
    const other = cardNamed(layout, scene, 'other');
    expect(side.rank).toBe(other.rank);
    expect(overlaps(layout.cards)).toBe(false);
  });

  test('a long skip passes beside the cards between', () => {
    const layout = layoutScene(branch());
    const skip = layout.edges.find((edge) => edge.points.length > 2);
    expect(skip).toBeDefined();
  });

  test('every unit has a place, and a point on it finds it again', () => {
    const layout = layoutScene(chain());
    const card = cardNamed(layout);
    for (let cell = 0; cell < 6; cell++) {
      const { x, y } = unitCentre(card, cell);
      expect(cellAt(card, 6, x, y)).toBe(cell);
    }
    expect(cellAt(card, 6, card.x - 5, card.y)).toBe(-1);
  });

  test.each([1, 2, 7, 128, 4096, 10_001])('a grid of %i units holds them all', (units) => {
    const { columns, rows } = gridShape(units);
    expect(columns * rows).toBeGreaterThanOrEqual(units);
    expect(columns * (rows - 1)).toBeLessThan(units + columns);
  });

  test('hundreds of layers with skips are laid out in a moment', () => {
    const scene = deep(400, 512);
    const start = performance.now();
    const layout = layoutScene(scene);
    expect(performance.now() - start).toBeLessThan(1500);
    expect(overlaps(layout.cards.slice(0, 200))).toBe(false);
  });

  test('an empty scene has an empty layout', () => {
    expect(layoutScene({ name: '', nodes: [], groups: [] }).cards).toEqual([]);
  });
});

describe('camera', () => {
  const layout = layoutScene(chain());

  test('a small structure is shown whole', () => {
    const camera = firstView(layout, size);
    expect(camera).toEqual(fitAll(layout, size));
    expect(layout.width * camera.scale).toBeLessThanOrEqual(size.width);
  });

  test('a long structure begins at its left end, readable', () => {
    const camera = firstView(layoutScene(deep(60, 64)), size);
    expect(camera.scale).toBeGreaterThanOrEqual(0.5);
    expect(camera.x).toBeGreaterThanOrEqual(0);
  });

  test('zooming keeps the point under the pointer', () => {
    const before = { scale: 1, x: 10, y: 20 };
    const after = zoomAt(before, 2, 100, 50);
    expect((100 - after.x) / after.scale).toBeCloseTo((100 - before.x) / before.scale);
  });

  test('the structure can not be lost by panning', () => {
    const camera = keepInSight({ scale: 1, x: 1e6, y: -1e6 }, layout, size);
    expect(camera.x).toBeLessThan(size.width);
    expect(camera.y + layout.height).toBeGreaterThan(0);
  });

  test('a card out of sight is brought in', () => {
    const wide = layoutScene(deep(60, 64));
    const card = wide.cards[80] as Card;
    const camera = reveal({ scale: 1, x: 0, y: 0 }, card, size);
    expect(card.x * camera.scale + camera.x).toBeGreaterThanOrEqual(0);
    expect((card.x + card.width) * camera.scale + camera.x).toBeLessThanOrEqual(size.width);
  });
});

describe('walking by keys', () => {
  const scene = branch();
  const layout = layoutScene(scene);
  const at = (name: string): number => scene.nodes.findIndex((node) => node.name === name);

  test('arrows go along the data and between branches', () => {
    const right = move(scene, layout, { node: at('input 1'), unit: -1 }, 'ArrowRight');
    expect(right.node).toBe(at('stem'));
    const branches = [at('side'), at('other')];
    const first = move(scene, layout, right, 'ArrowRight').node;
    expect(branches).toContain(first);
    const down = move(scene, layout, { node: first, unit: -1 }, 'ArrowDown').node;
    const up = move(scene, layout, { node: first, unit: -1 }, 'ArrowUp').node;
    expect(new Set([first, down, up])).toEqual(new Set(branches));
  });

  test('among units arrows stay inside of the layer', () => {
    const node = at('stem');
    const next = move(scene, layout, { node, unit: 0 }, 'ArrowRight');
    expect(next).toEqual({ node, unit: 1 });
    expect(move(scene, layout, { node, unit: 0 }, 'ArrowUp')).toEqual({ node, unit: 0 });
    expect(move(scene, layout, { node, unit: 7 }, 'ArrowRight')).toEqual({ node, unit: 7 });
  });

  test('a search finds names and types, every word of it', () => {
    expect(search(scene, 'conv2d')).toEqual([1, 2, 3]);
    expect(search(scene, 'conv2d side')).toEqual([2]);
    expect(search(scene, '  ')).toEqual([]);
  });
});
