import { describe, expect, test } from 'vitest';
import { blockName } from './blocks';
import { fitAll } from './camera';
import { node } from './fixtures';
import { type Card, type Layout, layoutScene, openAtFirst } from './layout';
import type { Scene, SceneNode } from './scene';

/** A stem and blocks of three convolutions beside a skip; names say what belongs together. */
function residual(blocks: number, named = true): Scene {
  const nodes: SceneNode[] = [node('input 1', [], { op: 'Input' })];
  const conv = (name: string, input: number): number => {
    const made = { op: 'Conv2D', units: 8, group: 0, detail: '4 × 4 × 8' };
    return nodes.push(node(name, [input], made)) - 1;
  };
  let last = conv('stem', 0);
  for (let block = 1; block <= blocks; block++) {
    const name = (part: string): string => (named ? `stage_block${block}_${part}` : `x${part}`);
    const inner = conv(name('c'), conv(name('b'), conv(name('a'), last)));
    last = nodes.push(node(name('add'), [last, inner], { op: 'Add', detail: '4 × 4 × 8' })) - 1;
  }
  conv('top', last);
  const group = { name: 'stem', units: 8, prunable: true, reason: '', start: 0 };
  return { name: 'residual', nodes, groups: [group] };
}

function overlap(a: Card, b: Card): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function anyOverlap(layout: Layout): boolean {
  return layout.cards.some((a, at) => layout.cards.slice(at + 1).some((b) => overlap(a, b)));
}

describe('blocks', () => {
  test.each([
    ['conv2_block1_1_conv', 'conv2_block1'],
    ['block2a_se_reduce', 'block2a'],
    ['block_1_expand_BN', 'block_1'],
    ['expanded_conv_3_depthwise', 'expanded_conv_3'],
    ['convnext_tiny_stage_0_block_2_layer_scale', 'convnext_tiny_stage_0_block_2'],
    ['dense_1', ''],
    ['conv2d_12', ''],
    ['encoder/dense_1', 'encoder'],
    ['backbone/block_1_expand', 'backbone/block_1'],
  ])('the name %s belongs to the block %s', (name, block) => {
    expect(blockName(name)).toBe(block);
  });

  test('equal blocks that follow each other share one card, which says how many they are', () => {
    const layout = layoutScene(residual(6));
    expect(layout.cards.map((card) => card.block?.count ?? 0)).toEqual([0, 0, 6, 0]);
    expect(layout.cards[2]?.members.length).toBe(24);
    expect(layout.frames).toEqual([]);
  });

  test('blocks without telling names are found between the points that all data passes', () => {
    const layout = layoutScene(residual(6, false));
    expect(layout.cards.map((card) => card.block?.count ?? 0)).toEqual([0, 0, 6, 0]);
  });

  test('an open block shows its layers within a frame for each repetition', () => {
    const scene = residual(6);
    const name = layoutScene(scene).blocks[0]?.name ?? '';
    const layout = layoutScene(scene, { open: new Set([name]) });
    expect(layout.cards.length).toBe(3 + 24);
    expect(layout.frames.map((frame) => frame.part)).toEqual([0, 1, 2, 3, 4, 5]);
    const all = layoutScene(scene, { open: 'all' });
    expect(all.cards.length).toBe(layout.cards.length);
    expect(anyOverlap(layout)).toBe(false);
  });

  test('a small network is not folded', () => {
    expect(layoutScene(residual(2)).blocks).toEqual([]);
  });

  test('every layer lies on one card, folded or open', () => {
    for (const open of [new Set<string>(), 'all'] as const) {
      const scene = residual(7);
      const layout = layoutScene(scene, { open });
      const members = layout.cards.flatMap((card) => card.members).sort((a, b) => a - b);
      expect(members).toEqual(scene.nodes.map((_, at) => at));
      scene.nodes.forEach((_, at) => {
        expect(layout.cards[layout.cardOf[at] as number]?.members).toContain(at);
      });
    }
  });
});

describe('nested models', () => {
  const conv = (name: string, input: number): SceneNode =>
    node(name, [input], { op: 'Conv2D', units: 8, group: 0 });
  /** An encoder that is called twice, and a head with a model within it. */
  const scene: Scene = {
    name: 'twins',
    nodes: [
      node('input 1', [], { op: 'Input' }),
      node('input 2', [], { op: 'Input' }),
      conv('enc/c1', 0),
      conv('enc/c2', 2),
      conv('enc/c1', 1),
      conv('enc/c2', 4),
      node('join', [3, 5], { op: 'Concatenate' }),
      conv('head/deep/d1', 6),
      conv('head/deep/d2', 7),
      conv('head/d3', 8),
    ],
    groups: [{ name: 'enc/c1', units: 8, prunable: true, reason: '', start: 0 }],
  };

  test('models of a small model are open at first, each call within a frame of its own', () => {
    const open = openAtFirst(scene);
    expect([...open].sort()).toEqual(['enc', 'head', 'head/deep']);
    const layout = layoutScene(scene, { open });
    expect(layout.frames.map((frame) => frame.block.name)).toEqual([
      'enc',
      'enc',
      'head',
      'head/deep',
    ]);
    const [, , outer, inner] = layout.frames;
    if (!outer || !inner) throw new Error('two frames are missing');
    expect(outer.x).toBeLessThan(inner.x);
    expect(outer.y).toBeLessThan(inner.y);
    expect(outer.x + outer.width).toBeGreaterThan(inner.x + inner.width);
    expect(Math.min(...layout.frames.map((frame) => frame.y))).toBeGreaterThanOrEqual(-18);
    expect(anyOverlap(layout)).toBe(false);
  });

  test('a folded model is one card for each of its calls, with what is folded within it', () => {
    const layout = layoutScene(scene);
    expect(layout.cards.map((card) => card.block?.name ?? '')).toEqual([
      '',
      '',
      'enc',
      'enc',
      '',
      'head',
    ]);
    expect(layout.cards[5]?.members).toEqual([7, 8, 9]);
    const half = layoutScene(scene, { open: new Set(['head']) });
    expect(half.cards.map((card) => card.block?.name ?? '').slice(5)).toEqual(['head/deep', '']);
    expect(half.frames.map((frame) => frame.block.name)).toEqual(['head']);
  });

  test('a large model within a model opens to its blocks', () => {
    const inner = residual(9);
    const nodes = inner.nodes.map((one) => ({ ...one, name: `net/${one.name}` }));
    const large = { ...inner, nodes: [...nodes, conv('scores', nodes.length - 1)] };
    const open = openAtFirst(large);
    expect([...open]).toEqual(['net']);
    const layout = layoutScene(large, { open });
    expect(layout.cards.map((card) => card.block?.count ?? 0)).toEqual([0, 0, 9, 0, 0]);
    expect(layoutScene(large).cards.map((card) => card.block?.name ?? '')).toEqual(['net', '']);
  });
});

describe('rows', () => {
  const window = { width: 700, height: 300 };

  test('a long network is wrapped, and is shown larger than in one row', () => {
    const scene = residual(9);
    const one = layoutScene(scene, { open: 'all' });
    const rows = layoutScene(scene, { open: 'all', window });
    expect(rows.edges.some((edge) => edge.wraps)).toBe(true);
    expect(fitAll(rows, window).scale).toBeGreaterThan(fitAll(one, window).scale);
    expect(rows.width * 0.6).toBeLessThanOrEqual(window.width * 1.3);
    expect(anyOverlap(rows)).toBe(false);
  });

  test('only lines between rows go around, all others lead from left to right', () => {
    const layout = layoutScene(residual(9), { open: 'all', window });
    for (const edge of layout.edges.filter((one) => !one.wraps)) {
      const from = layout.cards[edge.from] as Card;
      const to = layout.cards[edge.to] as Card;
      expect(from.x + from.width).toBeLessThanOrEqual(to.x);
    }
  });

  test('what fits is left in one row', () => {
    const layout = layoutScene(residual(1), { window: { width: 2000, height: 400 } });
    expect(layout.edges.some((edge) => edge.wraps)).toBe(false);
  });
});
