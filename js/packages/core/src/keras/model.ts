/** A Keras model as its configuration tells it: layers in order, with shapes and parameters. */

import { type Attributes, attributesOf } from '../attributes';
import { FileError } from './archive';
import { flopsOf } from './flops';
import { parametersOf, type Shape } from './parameters';
import { guessedShape, innerOf, shapeOf, withoutTime } from './shapes';

type Config = Record<string, unknown>;

export interface KerasLayer {
  /** With the names of the nested models around it: `encoder/conv`. Text, never HTML. */
  name: string;
  type: string;
  config: Config;
  /** What is shown of its configuration: kernel, stride, activation. */
  attributes: Attributes;
  /** Numbers of the layers that feed it. */
  inputs: number[];
  /** Of the output; null where the file does not tell. */
  shape: Shape | null;
  parameters: number | null;
  /** Operations of one call on one sample; a multiply-add counts as two. Null where unknown. */
  flops: number | null;
  /** Whether it holds code that would run when Keras loads it. */
  holdsCode: boolean;
  /** Where its weights are in the file: of each model around it, and its own. */
  place: Place[];
}

export interface Place {
  /** The name that Keras 3 gives it in the file of weights: its class, and a number. */
  key: string;
  name: string;
}

export interface KerasModel {
  name: string;
  type: string;
  layers: KerasLayer[];
  /** The sum of what is known. */
  parameters: number;
  /** Layers whose parameters are not known. */
  unknown: number;
  /** The sum of what is known. */
  flops: number;
  /** Layers whose operations are not known. */
  unknownFlops: number;
  compile: Config | null;
}

const MOST_LAYERS = 20_000;
const MOST_DEPTH = 16;
/** Calls of layers and models in the whole file: nested models that are called often multiply. */
const MOST_CALLS = 50_000;
/** References that one layer may have to others in all its calls. */
const MOST_REFERENCES = 10_000;
/** Levels of lists and objects in one layer's configuration. */
const MOST_LEVELS = 200;

const object = (value: unknown): Config =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Config) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown, otherwise: string): string =>
  typeof value === 'string' ? value : otherwise;

/** Reads `config.json`. Throws a `FileError` with one sentence where it holds no model. */
export function parseModel(json: string): KerasModel {
  let root: Config;
  try {
    root = object(JSON.parse(json));
  } catch {
    throw new FileError("'config.json' is damaged: it is no JSON.");
  }
  const config = object(root.config);
  if (!Array.isArray(config.layers)) {
    const type = text(root.class_name, 'an object without a class');
    throw new FileError(
      'The file holds %1, whose layers are made by code of its own: they cannot be shown.',
      type,
    );
  }
  const layers = new Layers();
  flatten(root, { prefix: '', place: [] }, [], layers);
  const compile = object(root.compile_config);
  return {
    name: text(config.name, 'model'),
    type: text(root.class_name, 'Model'),
    layers: layers.all,
    parameters: total(layers.all),
    unknown: layers.all.filter((layer) => layer.parameters === null).length,
    flops: layers.all.reduce((sum, layer) => sum + (layer.flops ?? 0), 0),
    unknownFlops: layers.all.filter((layer) => layer.flops === null).length,
    compile: Object.keys(compile).length > 0 ? compile : null,
  };
}

/** Weights of a layer that is called several times are counted once. */
function total(layers: KerasLayer[]): number {
  const counted = new Map(layers.map((layer) => [layer.name, layer.parameters ?? 0]));
  return [...counted.values()].reduce((sum, parameters) => sum + parameters, 0);
}

function tooMany(): FileError {
  return new FileError('The model has more than %1 layers.', MOST_LAYERS.toLocaleString('en-US'));
}

/** The layers found so far, and how much work they may still cost. */
class Layers {
  readonly all: KerasLayer[] = [];
  private calls = 0;

  /** Counts one call of a layer or of a nested model. */
  count(): void {
    if (++this.calls > MOST_CALLS || this.all.length > MOST_LAYERS) {
      throw tooMany();
    }
  }

  push(layer: KerasLayer): number[] {
    this.all.push(layer);
    return [this.all.length - 1];
  }

  shapeOf(index: number | undefined): Shape | null {
    return this.all[index ?? -1]?.shape ?? null;
  }
}

/** The models around a layer: their names before its own, and where their weights are. */
interface Scope {
  prefix: string;
  place: Place[];
}

interface Reference {
  layer: string;
  node: number;
  shape: Shape | null;
}

/** Adds the layers of a model, nested ones in their place; returns the numbers of its outputs. */
function flatten(model: Config, scope: Scope, feeds: number[], layers: Layers): number[] {
  if (scope.place.length > MOST_DEPTH) {
    throw new FileError('Models are nested more than %1 deep.', MOST_DEPTH);
  }
  const config = object(model.config);
  const entries = list(config.layers).map(object);
  if (entries.length > MOST_LAYERS) {
    throw tooMany();
  }
  refuseDoubleNames(entries);
  const keys = weightKeys(entries);
  if (
    entries.some((entry) => list(entry.inbound_nodes).length > 0) ||
    model.class_name === 'Functional'
  ) {
    return functional(config, entries, keys, scope, feeds, layers);
  }
  let last = feeds;
  entries.forEach((entry, at) => {
    const built = (of: Config | undefined) => shapeOf(object(of?.build_config).input_shape);
    const shapes = { read: built(entry), made: built(entries[at + 1]) };
    last = add(entry, keys[at] ?? '', last, shapes, scope, layers);
  });
  return last;
}

function functional(
  config: Config,
  entries: Config[],
  keys: string[],
  scope: Scope,
  feeds: number[],
  layers: Layers,
): number[] {
  const shapes = new Map<string, Shape>();
  const calls = entries.map((entry) => list(entry.inbound_nodes).map(references));
  for (const reference of calls.flat(2)) {
    if (reference.shape) shapes.set(`${reference.layer}:${reference.node}`, reference.shape);
  }
  const inputNames = tensorNames(config.input_layers);
  const made = new Map<string, number[]>();
  const all = entries.flatMap((entry, index) =>
    (calls[index]?.length ? calls[index] : [[]]).map((inputs, call) => ({
      entry,
      inputs,
      call,
      key: keys[index] ?? '',
    })),
  );
  if (all.length > MOST_LAYERS) throw tooMany();
  const nameOf = (entry: Config) => text(entry.name, text(object(entry.config).name, 'layer'));
  // Each call waits for the tensors that it reads; whatever waits for nothing more comes next.
  const readers = new Map<string, number[]>();
  const missing = all.map(({ inputs }, number) => {
    const keys = new Set(inputs.map((each) => `${each.layer}:${each.node}`));
    for (const key of keys) {
      const known = readers.get(key);
      if (known) known.push(number);
      else readers.set(key, [number]);
    }
    return keys.size;
  });
  const ready = all.flatMap((_, number) => (missing[number] === 0 ? [number] : []));
  let done = 0;
  for (; done < ready.length; done++) {
    const { entry, inputs, call, key } = all[ready[done] as number] as (typeof all)[number];
    layers.count();
    const own = nameOf(entry);
    const fed = inputs.flatMap((each) => made.get(`${each.layer}:${each.node}`) ?? []);
    const place = inputNames.indexOf(own);
    const outside = place >= 0 && feeds[place] !== undefined ? [feeds[place]] : null;
    const output = shapes.get(`${own}:${call}`) ?? null;
    const numbers =
      entry.class_name === 'InputLayer' && outside
        ? outside
        : add(entry, key, fed, { read: inputs[0]?.shape ?? null, made: output }, scope, layers);
    made.set(`${own}:${call}`, numbers);
    for (const reader of readers.get(`${own}:${call}`) ?? []) {
      missing[reader] = (missing[reader] ?? 0) - 1;
      if (missing[reader] === 0) ready.push(reader);
    }
  }
  if (done < all.length) {
    const stuck = all.find((_, number) => (missing[number] ?? 0) > 0);
    const name = (stuck ? nameOf(stuck.entry) : '?').slice(0, 80);
    throw new FileError("Layer '%1' waits for a layer that is not there, or for itself.", name);
  }
  const outputs = tensorNames(config.output_layers).flatMap((name) => made.get(`${name}:0`) ?? []);
  return outputs.length > 0 ? outputs : [layers.all.length - 1];
}

/** Adds one call of one layer; a nested model adds all of its own. */
function add(
  entry: Config,
  key: string,
  inputs: number[],
  shapes: { read: Shape | null; made: Shape | null },
  scope: Scope,
  layers: Layers,
): number[] {
  const config = object(entry.config);
  const type = text(entry.class_name, '?').slice(0, 200);
  const own = text(config.name, text(entry.name, 'layer')).slice(0, 500);
  const name = scope.prefix + own;
  const place = [...scope.place, { key, name: own }];
  if (Array.isArray(config.layers)) {
    return flatten(entry, { prefix: `${name}/`, place }, inputs, layers);
  }
  layers.count();
  const holdsCode = type === 'Lambda' || hasCode(config, name);
  const fed = inputs.map((each) => layers.shapeOf(each));
  // In files of Keras 2 the first layer of a Sequential says what it reads.
  const read = shapes.read ?? fed[0] ?? shapeOf(config.batch_input_shape);
  const reads = [read, ...fed.slice(1)];
  const shape = shapes.made ?? guessedShape(type, config, reads);
  // What an attention attends to, where the file does not keep the shapes that it was built with.
  const attended = { value_shape: reads[1], key_shape: reads[2] };
  const built = { ...attended, ...object(object(entry.build_config).shapes_dict) };
  const parameters = wrapped(type, config, read, built);
  const flops = flopsOf(type, config, reads, shape, parameters);
  const told = { name, type, config, attributes: attributesOf(config), inputs, shape };
  return layers.push({ ...told, parameters, flops, holdsCode, place });
}

/** The names that Keras 3 gives the layers of one model where it writes their weights. */
function weightKeys(entries: Config[]): string[] {
  const used = new Map<string, number>();
  return entries.map((entry) => {
    const snake = text(entry.class_name, '')
      .replace(/\W+/g, '')
      .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .toLowerCase();
    const before = used.get(snake) ?? 0;
    used.set(snake, before + 1);
    return before > 0 ? `${snake}_${before}` : snake;
  });
}

/** Names are unique within a model: Keras writes no other, and weights are found by them. */
function refuseDoubleNames(entries: Config[]): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    const name = text(object(entry.config).name, '');
    if (name && seen.has(name)) {
      throw new FileError("Two layers of one model have the name '%1'.", name.slice(0, 80));
    }
    seen.add(name);
  }
}

/** Whether a configuration holds saved Python code anywhere; one that has no end is refused. */
function hasCode(config: Config, name: string): boolean {
  let open: unknown[] = [config];
  let found = false;
  for (let level = 0; open.length > 0; level++) {
    if (level > MOST_LEVELS) {
      throw new FileError("The configuration of layer '%1' is nested too deep.", name.slice(0, 80));
    }
    found ||= open.some((value) => object(value).class_name === '__lambda__');
    open = open.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return found;
}

/** Parameters of a layer, or of the layer that a wrapper holds. */
function wrapped(type: string, config: Config, input: Shape | null, built: Config): number | null {
  const [kind, own] = innerOf(config);
  if (type === 'Bidirectional') {
    const once = parametersOf(kind, own, input);
    return once === null ? null : 2 * once;
  }
  if (type === 'TimeDistributed') {
    return parametersOf(kind, own, input && withoutTime(input));
  }
  return parametersOf(type, config, input, built);
}

/** The tensors that a call reads: Keras 3 writes them as objects, Keras 2 as lists. */
function references(call: unknown): Reference[] {
  const found: Reference[] = [];
  const open: unknown[] = [call];
  let steps = 0;
  while (open.length > 0) {
    if (++steps > 50 * MOST_REFERENCES || found.length > MOST_REFERENCES) {
      throw new FileError('A layer reads more tensors than any model has.');
    }
    const value = open.pop();
    const here = object(value);
    if (here.class_name === '__keras_tensor__') {
      const [layer, node] = list(object(here.config).keras_history);
      found.push({
        layer: text(layer, ''),
        node: Number(node),
        shape: shapeOf(object(here.config).shape),
      });
    } else if (
      Array.isArray(value) &&
      typeof value[0] === 'string' &&
      typeof value[1] === 'number'
    ) {
      found.push({ layer: value[0], node: value[1], shape: null });
    } else if (typeof value === 'object' && value !== null) {
      open.push(...Object.values(value).reverse());
    }
  }
  return found;
}

/** Names in `input_layers` or `output_layers`: one `[name, 0, 0]`, a list or a dictionary of them. */
function tensorNames(value: unknown): string[] {
  if (Array.isArray(value) && typeof value[0] === 'string') return [value[0]];
  const many = Array.isArray(value) ? value : Object.values(object(value));
  return many.map((each) => text(list(each)[0], ''));
}
