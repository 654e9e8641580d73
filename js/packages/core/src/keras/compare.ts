/** Two models side by side: which layer is which, what went and what changed. */

import type { Scene, UnitState } from '../scene';
import { emptyState } from '../scene';
import { type Drawn, sceneOf } from './drawn';
import type { Shape } from './parameters';
import type { RunPlan } from './run';

export interface Compared extends Drawn {
  flops: number | null;
}

/** A layer before and after; one of them is missing where it went or is new. */
export interface Pair {
  before: number;
  after: number;
  state: 'same' | 'changed' | 'gone' | 'new';
}

/** More than any layer has: a file may claim what it likes. */
const MOST_UNITS = 1 << 17;

const same = (a: Shape | null, b: Shape | null): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Matches layers by name; what is left by type and shape, in the order of data flow. */
export function pairLayers(before: readonly Compared[], after: readonly Compared[]): Pair[] {
  const partner = new Map<number, number>();
  const taken = new Set<number>();
  const take = (mine: number, other: number | undefined): void => {
    if (other === undefined || taken.has(other)) return;
    partner.set(mine, other);
    taken.add(other);
  };
  const byName = new Map(after.map((layer, index) => [layer.name, index]));
  for (const [index, layer] of before.entries()) take(index, byName.get(layer.name));
  const free = new Map<string, number[]>();
  const looks = ({ type, shape }: Compared) => `${type} ${JSON.stringify(shape)}`;
  after.forEach((layer, index) => {
    if (taken.has(index)) return;
    free.set(looks(layer), [...(free.get(looks(layer)) ?? []), index]);
  });
  before.forEach((layer, index) => {
    if (!partner.has(index)) take(index, free.get(looks(layer))?.shift());
  });
  const pairs = before.map((layer, index): Pair => {
    const other = partner.get(index);
    if (other === undefined) return { before: index, after: -1, state: 'gone' };
    const found = after[other] as Compared;
    const equal =
      layer.type === found.type &&
      layer.parameters === found.parameters &&
      same(layer.shape, found.shape);
    return { before: index, after: other, state: equal ? 'same' : 'changed' };
  });
  const added = after.flatMap((_, index): Pair[] =>
    taken.has(index) ? [] : [{ before: -1, after: index, state: 'new' }],
  );
  return [...pairs, ...added];
}

/** The original with the units that a plan removed struck out: the pruned model's ghost. */
export function ghostOf(
  model: { name: string; layers: readonly Compared[] },
  plan: RunPlan,
): { scene: Scene; state: UnitState } {
  const byGroup = new Map<string, typeof plan.removed>();
  for (const removed of plan.removed) {
    const own = byGroup.get(removed.group);
    if (own) own.push(removed);
    else byGroup.set(removed.group, [removed]);
  }
  const plain = sceneOf({ ...model, layers: [...model.layers] });
  const groups: Scene['groups'][number][] = [];
  let start = 0;
  const nodes = plain.nodes.map((node, index) => {
    const removed = byGroup.get(node.name);
    const units = unitsOf(model.layers[index]?.shape ?? null, removed ?? []);
    if (!removed || units === 0) return node;
    groups.push({ name: node.name, units, prunable: true, reason: '', start });
    start += units;
    return { ...node, units, group: groups.length - 1, alone: true };
  });
  const scene = { ...plain, nodes, groups };
  const state = emptyState(scene);
  for (const group of groups) {
    for (const { unit, into, step } of byGroup.get(group.name) ?? []) {
      state.removedAt[group.start + unit] = step - 1;
      state.into[group.start + unit] = into ?? -1;
    }
  }
  return { scene, state };
}

/** How many units a layer's output has, if the plan's fit into them. */
function unitsOf(shape: Shape | null, removed: readonly { unit: number }[]): number {
  const units = shape?.at(-1) ?? 0;
  if (units > MOST_UNITS) return 0;
  return removed.every(({ unit }) => unit >= 0 && unit < units) ? units : 0;
}
