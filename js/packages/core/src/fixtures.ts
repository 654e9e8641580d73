/** Scenes for tests: a chain, a branch, and a network of hundreds of layers. */

import { emptyState, type Scene, type SceneNode, type UnitState } from './scene';

export function node(name: string, inputs: number[], more: Partial<SceneNode> = {}): SceneNode {
  return {
    name,
    op: 'Dense',
    detail: '',
    inputs,
    units: 0,
    group: -1,
    parameters: 0,
    note: '',
    ...more,
  };
}

/** input → a (6 units) → relu → b (4 units, an output that stays). */
export function chain(): Scene {
  return {
    name: 'chain',
    nodes: [
      node('input 1', [], { op: 'Input' }),
      node('a', [0], { units: 6, group: 0, parameters: 30 }),
      node('relu', [1], { op: 'Activation' }),
      node('b', [2], { units: 4, group: 1, note: 'it is an output of the model' }),
    ],
    groups: [
      { name: 'a', units: 6, prunable: true, reason: '', start: 0 },
      { name: 'b', units: 4, prunable: false, reason: 'it is an output of the model', start: 6 },
    ],
  };
}

/** A stem and a side branch that are summed, so that both make the same units. */
export function branch(): Scene {
  return {
    name: 'branch',
    nodes: [
      node('input 1', [], { op: 'Input' }),
      node('stem', [0], { op: 'Conv2D', units: 8, group: 0 }),
      node('side', [1], { op: 'Conv2D', units: 8, group: 0 }),
      node('other', [1], { op: 'Conv2D', units: 3, group: 1 }),
      node('sum', [1, 2], { op: 'Add' }),
      node('join', [4, 3], { op: 'Concatenate' }),
    ],
    groups: [
      { name: 'stem', units: 8, prunable: true, reason: '', start: 0 },
      { name: 'other', units: 3, prunable: true, reason: '', start: 8 },
    ],
  };
}

/** Hundreds of layers with skips, thousands of units. */
export function deep(layers: number, units: number): Scene {
  const nodes = [node('input 1', [], { op: 'Input' })];
  const groups = [];
  for (let layer = 0; layer < layers; layer++) {
    const last = nodes.length - 1;
    nodes.push(node(`conv_${layer}`, [last], { op: 'Conv2D', units, group: layer }));
    nodes.push(node(`add_${layer}`, [last, last + 1], { op: 'Add' }));
    groups.push({
      name: `conv_${layer}`,
      units,
      prunable: true,
      reason: '',
      start: layer * units,
    });
  }
  return { name: 'deep', nodes, groups };
}

/** Step 1 took unit 2 into 0; step 2 took unit 5 without a survivor. */
export function pruned(scene: Scene): UnitState {
  const state = emptyState(scene);
  state.importance.forEach((_, index) => {
    state.importance[index] = index / 10;
  });
  state.removedAt[2] = 0;
  state.into[2] = 0;
  state.removedAt[5] = 1;
  return state;
}
