/** What Python sends and receives: the names and shapes of the widget's traits. */

import type { RawFilters, Scene, UnitState } from '@paoding/core';

export interface Figure {
  label: string;
  before: number;
  after: number;
  kind: 'count' | 'bytes' | 'share' | 'number';
}

export interface Header {
  name: string;
  state: 'ready' | 'running' | 'paused' | 'finished' | 'stopped' | 'failed';
  /** What is going on, in a few words. */
  message: string;
  /** A mistake to put right, or an empty text. */
  error: string;
  figures: Figure[];
  /** Share of the run that is done, 0 to 1. */
  progress: number;
  /** What was estimated without data of the network as it stands, or an empty text. */
  estimate: string;
  /** Share of the present piece of work, below 0 where it is not known, null where there is none. */
  working: number | null;
  /** Where the run is kept as it goes, or an empty text. */
  saved: string;
  /** On what synthetic inputs the survivors were fitted, or an empty text. */
  prior: string;
  /** `data-free`, or on how many real inputs survivors are fitted. */
  fitted: string;
}

/** One row of the table of layers: a layer with weights or units of its own. */
export interface LayerRow {
  node: number;
  group: number;
  name: string;
  op: string;
  units: number;
  /** Units that are left. */
  left: number;
  parameters: number;
  parameters_left: number;
  prunable: boolean;
  reason: string;
}

export interface Fact {
  label: string;
  value: string;
  /** `certified`, `estimated` or an empty text. */
  tag?: string;
}

export interface LayerDetails {
  title: string;
  facts: Fact[];
  note: string;
  group: number;
  /** The layers that lose a unit together, each with the reason. */
  members: string[];
}

export interface UnitDetails {
  title: string;
  facts: Fact[];
  story: string;
  group: number;
  alike: { unit: number; distance: number }[];
  /** The group's name, for what is asked of Python. */
  name: string;
  unit: number;
  rivals: { unit: number; value: number; place: number; of: number }[];
  pictures: Picture[];
  gone: boolean;
  can_go: boolean;
  can_return: boolean;
  /** Whether a person keeps it for good, and whether that can be changed now. */
  kept: boolean;
  can_keep: boolean;
  /** Steps after the one in which it went. */
  later: number;
  /** Whether more will be known once the run rests. */
  late: boolean;
}

/** Weights from -1 to 1, row by row; null where there is none. */
export interface Picture {
  title: string;
  rows: number;
  columns: number;
  values: (number | null)[];
}

/** One row of the table of runs; the present one comes first. */
export interface RunRow {
  name: string;
  present: boolean;
  overlaid: boolean;
  steps: number;
  share: number;
  accuracy: number | null;
  robust: number | null;
  parameters: number;
  flops: number;
  /** Seconds for one sample, where it was measured. */
  latency: number | null;
  /** What `accuracy` is, and whether it is a share. */
  metric: string;
  shares: boolean;
  differs: string;
}

export interface Inspected {
  node: number;
  layer: LayerDetails | null;
  unit: UnitDetails | null;
}

export interface RawDecisions {
  step: number;
  count: number;
  omitted: number;
  groups: string[];
  verdicts: string[];
  reasons: string[];
  columns: Record<string, DataView>;
}

export interface Traits {
  mode: 'studio' | 'structure';
  scene: Scene;
  /** Weights of the first layers' units, as pictures. */
  filters: RawFilters[];
  units: { removed_at: DataView; into: DataView; importance: DataView; free: DataView };
  header: Header;
  /** The moment shown, from 0 (the original) to `last`. */
  moment: number;
  last: number;
  /** Steps of the whole run, as far as that is known; else 0. */
  planned: number;
  runs: RunRow[];
  /** One remark for each moment, such as `31 % removed, accuracy 0.93`. */
  remarks: string[];
  branchable: boolean;
  decisions: RawDecisions;
  selected: { node: number; unit: number };
  inspected: Inspected;
  layers: LayerRow[];
  locked: string[];
  targets: Record<string, number>;
  target: number;
  editable: boolean;
  page_visible: boolean;
}

/** The part of an anywidget model that the view uses. */
export interface Model {
  get<K extends keyof Traits>(name: K): Traits[K];
  set<K extends keyof Traits>(name: K, value: Traits[K]): void;
  save_changes(): void;
  on(event: string, act: () => void): void;
  /** The page's manager of widgets; JupyterLab's knows the kernel. */
  widget_manager?: { kernel?: Kernel | null };
  off(event: string, act: () => void): void;
  send(content: unknown): void;
}

/** The part of JupyterLab's connection to a kernel that tells whether it lives. */
export interface Kernel {
  statusChanged: {
    connect(act: (sender: unknown, status: string) => void): unknown;
    disconnect(act: (sender: unknown, status: string) => void): unknown;
  };
}

function bytes(view: DataView | undefined): ArrayBuffer {
  if (!view || view.byteLength === 0) return new ArrayBuffer(0);
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

export const asInt32 = (view: DataView | undefined): Int32Array => new Int32Array(bytes(view));
export const asFloat32 = (view: DataView | undefined): Float32Array =>
  new Float32Array(bytes(view));
export const asFloat64 = (view: DataView | undefined): Float64Array =>
  new Float64Array(bytes(view));

export function unitState(model: Model): UnitState {
  const units = model.get('units');
  return {
    removedAt: asInt32(units?.removed_at),
    into: asInt32(units?.into),
    importance: asFloat32(units?.importance),
    free: new Uint8Array(bytes(units?.free)),
  };
}
