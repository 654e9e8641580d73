/** What a layer's weights look like: where they are in the file, their statistics, slices and pictures. */

import { FileError } from './archive';
import type { Dataset } from './dataset';
import type { Hdf5File, Hdf5Object, Link } from './hdf5';
import type { KerasLayer } from './model';

/** One array of weights; the names are texts from the file. */
export interface WeightInfo {
  name: string;
  address: number;
  shape: number[];
  type: string;
  bytes: number;
  /** Why its numbers cannot be read, or an empty text. */
  refusal: string;
}

export interface Statistics {
  /** Numbers that were read: all of them, or evenly spaced ones of a large array. */
  read: number;
  count: number;
  least: number;
  greatest: number;
  mean: number;
  deviation: number;
  zeros: number;
  /** Not a number, or infinite. */
  broken: number;
  bins: number[];
}

/** A matrix of numbers out of an array, row by row. */
export interface Slice {
  rows: number;
  columns: number;
  values: Float64Array;
}

const MOST_DEPTH = 24;
const MOST_DATASETS = 2000;
/** Numbers that statistics are made of; of more, evenly spaced blocks are read. */
const MOST_READ = 4 << 20;
const BLOCKS = 64;
const BINS = 40;
/** A slice is shown up to so many rows and columns. */
const MOST_SIDE = 256;
const MOST_FILTERS = 64;

/** Everything below an object that holds numbers; what is linked twice on one way is left out. */
export async function datasetsBelow(
  file: Hdf5File,
  start: Hdf5Object,
  prefix = '',
): Promise<WeightInfo[]> {
  const found: WeightInfo[] = [];
  const walk = async (object: Hdf5Object, name: string, way: number[]): Promise<void> => {
    if (object.dataset) found.push(infoOf(name, object.address, object.dataset));
    if (!object.group || way.length > MOST_DEPTH || way.includes(object.address)) return;
    for (const link of await file.children(object)) {
      if (found.length >= MOST_DATASETS) return;
      if (link.address === null) continue;
      const inner = await file.object(link.address);
      await walk(inner, name ? `${name}/${link.name}` : link.name, [...way, object.address]);
    }
  };
  await walk(start, prefix, []);
  return found;
}

function infoOf(
  name: string,
  address: number,
  { shape, type, place, refusal }: Dataset,
): WeightInfo {
  const count = shape.reduce((product, size) => product * size, 1);
  const kind =
    type.kind === 'other' || type.kind === 'text' || type.kind === 'bfloat16'
      ? type.kind
      : `${type.kind}${8 * type.bytes}`;
  return { name, address, shape, type: kind, bytes: place?.bytes ?? count * type.bytes, refusal };
}

/** The weights of one layer of a model, by the places that Keras 3 or Keras 2 gives them. */
export async function layerWeights(file: Hdf5File, layer: KerasLayer): Promise<WeightInfo[]> {
  const root = await file.object(file.root);
  const old = await childOf(file, root, 'model_weights');
  if (old) return oldWeights(file, old, layer);
  let at: Hdf5Object | null = root;
  for (const { key, name } of layer.place) {
    const layers: Hdf5Object | null = at && (await childOf(file, at, 'layers'));
    at = layers && (await namedChild(file, layers, key, name));
  }
  const found = at ? await datasetsBelow(file, at) : [];
  return found.map((info) => ({ ...info, name: plainName(info.name, layer) }));
}

async function childOf(file: Hdf5File, of: Hdf5Object, name: string): Promise<Hdf5Object | null> {
  const link = (await file.children(of)).find((each) => each.name === name);
  return link?.address == null ? null : file.object(link.address);
}

/** The child that says that it has this name; where none says anything, the one of this key. */
async function namedChild(
  file: Hdf5File,
  layers: Hdf5Object,
  key: string,
  name: string,
): Promise<Hdf5Object | null> {
  const links = (await file.children(layers)).filter((link) => link.address !== null);
  const guess = links.find((link) => link.name === key);
  const told = async (link: Link) => {
    const object = await file.object(link.address as number);
    const vars = object.group ? await childOf(file, object, 'vars') : null;
    return { object, name: vars ? (await file.texts(vars)).get('name') : undefined };
  };
  const first = guess ? await told(guess) : null;
  if (first?.name === name) return first.object;
  for (const link of links) {
    const known = await told(link);
    if (known.name === name) return known.object;
  }
  return first && first.name === undefined ? first.object : null;
}

/** Files of Keras 2 and old files of Keras 3: a group for each outer layer, weights by their names. */
async function oldWeights(
  file: Hdf5File,
  old: Hdf5Object,
  layer: KerasLayer,
): Promise<WeightInfo[]> {
  const [outer, ...inner] = layer.place;
  const group = outer ? await childOf(file, old, outer.name) : null;
  if (!group) return [];
  const all = await datasetsBelow(file, group);
  const own = inner.at(-1)?.name;
  const name = own ?? outer?.name ?? '';
  const mine = own === undefined ? all : all.filter((info) => info.name.split('/').includes(own));
  // Below the layer's own name; the largest first, which is the kernel.
  return mine
    .map((info) => {
      const parts = info.name.split('/');
      return {
        ...info,
        name: parts
          .slice(parts.lastIndexOf(name) + 1)
          .join('/')
          .replace(/:0$/, ''),
      };
    })
    .sort((a, b) => b.bytes - a.bytes);
}

const PLAIN: [RegExp, (config: Record<string, unknown>) => string[]][] = [
  [/^(Dense|(Depthwise)?Conv\dD(Transpose)?|EinsumDense)$/, () => ['kernel', 'bias']],
  [/^SeparableConv\dD$/, () => ['depthwise_kernel', 'pointwise_kernel', 'bias']],
  [/^Embedding$/, () => ['embeddings']],
  [/^(LSTM|GRU|SimpleRNN)$/, () => ['kernel', 'recurrent_kernel', 'bias']],
  [/^LayerScale$/, () => ['gamma']],
  [
    /^(Batch|Layer|Group)Normalization$/,
    ({ scale, center }) => [
      ...(scale === false ? [] : ['gamma']),
      ...(center === false ? [] : ['beta']),
      'moving_mean',
      'moving_variance',
    ],
  ],
];

/** Keras 3 numbers a layer's weights; for those of known layers the names are known too. */
function plainName(path: string, layer: KerasLayer): string {
  const number = /^(?:cell\/)?vars\/(\d+)$/.exec(path)?.[1];
  const names = PLAIN.find(([types]) => types.test(layer.type))?.[1](layer.config);
  return (number !== undefined && names?.[Number(number)]) || path;
}

async function datasetAt(file: Hdf5File, address: number): Promise<Dataset> {
  const { dataset } = await file.object(address);
  if (!dataset) throw new FileError('There are no numbers here any more: open the file again.');
  return dataset;
}

const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1);

export async function statisticsOf(file: Hdf5File, address: number): Promise<Statistics> {
  const dataset = await datasetAt(file, address);
  const count = sizeOf(dataset.shape);
  const parts: Float64Array[] = [];
  if (count <= MOST_READ) {
    parts.push(await file.numbers(dataset, 0, count));
  } else {
    const each = Math.floor(MOST_READ / BLOCKS);
    for (let block = 0; block < BLOCKS; block++) {
      const start = Math.floor((block * (count - each)) / (BLOCKS - 1));
      parts.push(await file.numbers(dataset, start, each));
    }
  }
  return summary(parts, count);
}

/** All numbers of an array that is not too large to be compared with another. */
export async function valuesOf(file: Hdf5File, address: number): Promise<Float64Array> {
  const dataset = await datasetAt(file, address);
  const count = sizeOf(dataset.shape);
  if (count > MOST_READ) throw new FileError('%1 values are too many to be compared.', count);
  return file.numbers(dataset, 0, count);
}

function summary(parts: Float64Array[], count: number): Statistics {
  let [read, sum, squares, zeros, broken] = [0, 0, 0, 0, 0];
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const part of parts) {
    read += part.length;
    for (const value of part) {
      if (!Number.isFinite(value)) {
        broken++;
        continue;
      }
      if (value === 0) zeros++;
      sum += value;
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
    }
  }
  const known = read - broken;
  const mean = sum / known;
  const bins = new Array<number>(BINS).fill(0);
  const span = greatest - least || 1;
  for (const part of parts) {
    for (const value of part) {
      if (!Number.isFinite(value)) continue;
      squares += (value - mean) ** 2;
      const bin = Math.min(BINS - 1, Math.floor(((value - least) / span) * BINS));
      bins[bin] = (bins[bin] as number) + 1;
    }
  }
  const deviation = Math.sqrt(squares / known);
  return { read, count, least, greatest, mean, deviation, zeros, broken, bins };
}

/** The last two axes at one place of the others, from the first row and column. */
export async function sliceOf(
  file: Hdf5File,
  address: number,
  at: readonly number[],
): Promise<Slice> {
  const dataset = await datasetAt(file, address);
  const shape = dataset.shape.length === 1 ? [1, ...dataset.shape] : dataset.shape;
  const [height, width] = shape.length > 0 ? (shape.slice(-2) as [number, number]) : [1, 1];
  const before = shape.slice(0, -2);
  const place = before.reduce((index, size, axis) => {
    const wanted = Math.max(0, Math.min(size - 1, Math.round(at[axis] ?? 0)));
    return index * size + wanted;
  }, 0);
  const [rows, columns] = [Math.min(height, MOST_SIDE), Math.min(width, MOST_SIDE)];
  const start = place * height * width;
  const values = new Float64Array(rows * columns);
  if (rows * width <= MOST_READ) {
    const all = await file.numbers(dataset, start, rows * width);
    for (let row = 0; row < rows; row++) {
      values.set(all.subarray(row * width, row * width + columns), row * columns);
    }
  } else {
    for (let row = 0; row < rows; row++) {
      values.set(await file.numbers(dataset, start + row * width, columns), row * columns);
    }
  }
  return { rows, columns, values };
}

/** The first filters of a convolution as pictures, the mean over their input channels. */
export async function filtersOf(file: Hdf5File, address: number): Promise<Slice[]> {
  const dataset = await datasetAt(file, address);
  const [rows, columns, inputs, filters] = dataset.shape as [number, number, number, number];
  if (dataset.shape.length !== 4 || sizeOf(dataset.shape) > MOST_READ) return [];
  const all = await file.numbers(dataset, 0, sizeOf(dataset.shape));
  return Array.from({ length: Math.min(filters, MOST_FILTERS) }, (_, filter) => {
    const values = new Float64Array(rows * columns);
    for (let place = 0; place < values.length; place++) {
      let sum = 0;
      for (let input = 0; input < inputs; input++) {
        sum += all[(place * inputs + input) * filters + filter] ?? 0;
      }
      values[place] = sum / inputs;
    }
    return { rows, columns, values };
  });
}
