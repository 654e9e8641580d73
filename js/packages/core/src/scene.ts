/** What the structure view draws: layers, how they feed each other, and their groups of units. */

import { type Attributes, attributeFacts } from './attributes';
import { plain, type Say } from './say';

export interface SceneNode {
  /** The layer's name: text from a model, never to be read as HTML. */
  name: string;
  /** The layer's type, such as `Dense`. */
  op: string;
  /** A short remark, such as the output's shape. */
  detail: string;
  /** Indices of the nodes that feed this one. */
  inputs: readonly number[];
  /** Units that this layer makes itself; 0 where channels only pass through. */
  units: number;
  /** Index of the unit group that its units belong to, or -1. */
  group: number;
  /** The group's unit that each of its own units is (-1: none); absent where they are the same. */
  map?: readonly number[];
  parameters: number;
  /** Whether it has a card of its own though it shows no units. */
  alone?: boolean;
  /** Why its units stay, or an empty text. */
  note: string;
  /** What it is set to: kernel, stride, activation. */
  attributes?: Attributes;
  /** What its stripe says: one of `KINDS` in theme.ts; absent where there is none. */
  kind?: string;
}

export interface SceneGroup {
  name: string;
  units: number;
  prunable: boolean;
  reason: string;
  /** Where this group's units begin in the flat arrays of a `UnitState`. */
  start: number;
}

export interface Scene {
  name: string;
  nodes: readonly SceneNode[];
  groups: readonly SceneGroup[];
}

/** One entry per unit, all groups laid end to end. */
export interface UnitState {
  /** The step (from 0) that removed the unit, -1 while it is there, -2 where it can't go. */
  removedAt: Int32Array;
  /** The unit of the same group that took it over, or -1. */
  into: Int32Array;
  /** Current importance, NaN where unknown. */
  importance: Float32Array;
  /** 1 where the unit can go at no cost, provably; empty where that is not known. */
  free: Uint8Array;
}

export interface Selection {
  node: number;
  /** A unit of the node's group, or -1 for the layer as a whole. */
  unit: number;
}

export const EMPTY_SCENE: Scene = { name: '', nodes: [], groups: [] };

export function unitCount(scene: Scene): number {
  return scene.groups.reduce((sum, group) => sum + group.units, 0);
}

export function emptyState(scene: Scene): UnitState {
  const count = unitCount(scene);
  return {
    removedAt: new Int32Array(count).fill(-1),
    into: new Int32Array(count).fill(-1),
    importance: new Float32Array(count).fill(Number.NaN),
    free: new Uint8Array(count),
  };
}

/** The group's unit behind a layer's own unit (one square of its grid), or -1. */
export function unitOfCell(node: SceneNode, cell: number): number {
  return node.map ? (node.map[cell] ?? -1) : cell;
}

/** The square of a layer's grid that shows a unit of its group, or -1. */
export function cellOfUnit(node: SceneNode, unit: number): number {
  if (node.map) return node.map.indexOf(unit);
  return unit < node.units ? unit : -1;
}

/** The flat index of a layer's own unit in a `UnitState`, or -1 where it belongs to no group. */
export function flatIndex(scene: Scene, node: SceneNode, cell: number): number {
  const group = scene.groups[node.group];
  const unit = unitOfCell(node, cell);
  return group && unit >= 0 ? group.start + unit : -1;
}

/** How many of a layer's own units are left once `moment` steps have been taken. */
export function livingCells(
  scene: Scene,
  state: UnitState,
  moment: number,
  node: SceneNode,
): number {
  let living = 0;
  for (let cell = 0; cell < node.units; cell++) {
    const at = flatIndex(scene, node, cell);
    if (at < 0 || !isRemoved(state, at, moment)) living++;
  }
  return living;
}

/** Whether a unit is gone once `moment` steps have been taken. */
export function isRemoved(state: UnitState, index: number, moment: number): boolean {
  const step = state.removedAt[index] ?? -1;
  return step >= 0 && step < moment;
}

/** Living units of each group once `moment` steps have been taken. */
export function livingUnits(scene: Scene, state: UnitState, moment: number): number[] {
  return scene.groups.map((group) => {
    let living = 0;
    for (let unit = 0; unit < group.units; unit++) {
      if (!isRemoved(state, group.start + unit, moment)) living++;
    }
    return living;
  });
}

export interface Merge {
  group: number;
  from: number;
  into: number;
}

/** The removals of the step that led to `moment`; `into` is -1 where nothing took the unit over. */
export function lastRemovals(scene: Scene, state: UnitState, moment: number): Merge[] {
  const merges: Merge[] = [];
  scene.groups.forEach((group, index) => {
    for (let unit = 0; unit < group.units; unit++) {
      const at = group.start + unit;
      if (moment > 0 && state.removedAt[at] === moment - 1) {
        merges.push({ group: index, from: unit, into: state.into[at] ?? -1 });
      }
    }
  });
  return merges;
}

/** One sentence about a layer or a unit, for tooltips and screen readers. */
export function describe(
  scene: Scene,
  state: UnitState,
  moment: number,
  selection: Selection,
  say: Say = plain,
): string {
  const node = scene.nodes[selection.node];
  if (!node) return '';
  const group = scene.groups[node.group];
  if (selection.unit < 0 || !group) return describeLayer(scene, state, moment, node, say);
  const at = group.start + selection.unit;
  const head = say('%1, unit %2 of %3', node.name, selection.unit, group.units);
  const importance = state.importance[at] ?? Number.NaN;
  const known = Number.isNaN(importance)
    ? ''
    : `, ${say('importance %1', formatNumber(importance))}`;
  const free = state.free[at] === 1 ? `, ${say('free: it provably never matters')}` : '';
  if (!isRemoved(state, at, moment)) return `${head}${known}${free}`;
  const into = state.into[at] ?? -1;
  const fate = into >= 0 ? `, ${say('merged into unit %1', into)}` : '';
  return `${head}, ${say('removed in step %1', (state.removedAt[at] ?? 0) + 1)}${fate}`;
}

function describeLayer(
  scene: Scene,
  state: UnitState,
  moment: number,
  node: SceneNode,
  say: Say,
): string {
  const parts = [`${node.name}, ${node.op}`];
  if (node.units > 0) {
    const living = livingCells(scene, state, moment, node);
    parts.push(
      living === node.units ? say('%1 units', living) : say('%1 of %2 units', living, node.units),
    );
  }
  if (node.detail) parts.push(node.inputs.length > 0 ? say('output %1', node.detail) : node.detail);
  parts.push(
    ...attributeFacts(node.attributes, say).map(({ label, value }) => `${label} ${value}`),
  );
  if (node.parameters > 0) parts.push(say('%1 parameters', formatCount(node.parameters)));
  if (node.note) parts.push(say('stays whole: %1', node.note));
  return parts.join(', ');
}

/** A number with as many digits as a person reads: 0.0123, 4.56e-7, 12,345. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '–' : String(value);
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2);
  return Number(value.toPrecision(size >= 1000 ? 6 : 3)).toLocaleString('en-US', {
    maximumFractionDigits: 6,
  });
}

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function formatBytes(value: number): string {
  if (value < 1024) return `${Math.round(value)} B`;
  const names = ['KB', 'MB', 'GB', 'TB'];
  let size = value / 1024;
  let index = 0;
  while (size >= 1024 && index < names.length - 1) {
    size /= 1024;
    index++;
  }
  return `${size.toFixed(size < 10 ? 2 : 1)} ${names[index]}`;
}
