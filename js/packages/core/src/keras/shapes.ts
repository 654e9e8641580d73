/** What shape a layer's output has, where the file does not say it, as in files of Keras 2. */

import type { Shape } from './parameters';

type Config = Record<string, unknown>;
type Size = number | null;

/** A shape as files write it: a list of numbers, with null for open axes. */
export function shapeOf(value: unknown): Shape | null {
  const sizes = Array.isArray(value) ? value : [];
  const good = sizes.length > 0 && sizes.every((s) => s === null || typeof s === 'number');
  return good ? (sizes as Shape) : null;
}

const first = (config: Config): boolean => config.data_format === 'channels_first';
const one = (value: unknown): number | null => (typeof value === 'number' ? value : null);
/** One number stands for all axes. */
const along = (value: unknown, axis: number, otherwise: number): number =>
  one(Array.isArray(value) ? value[axis] : value) ?? otherwise;

/** The axes between batch and channels, changed one by one; channels become `made`. */
function spatial(
  config: Config,
  input: Shape,
  made: Size,
  change: (size: number, axis: number) => number,
): Shape {
  const channelsFirst = first(config);
  const places = channelsFirst ? input.slice(2) : input.slice(1, -1);
  const changed = places.map((size, axis) => (size === null ? null : change(size, axis)));
  const batch = input[0] ?? null;
  return channelsFirst ? [batch, made, ...changed] : [batch, ...changed, made];
}

const channelsOf = (config: Config, input: Shape): Size =>
  (first(config) ? input[1] : input.at(-1)) ?? null;

/** How many places a window takes that is moved over so many. */
function windows(config: Config, window: unknown, strides: unknown) {
  return (size: number, axis: number): number => {
    const step = along(strides, axis, 1);
    const dilated = (along(window, axis, 1) - 1) * along(config.dilation_rate, axis, 1) + 1;
    const padded = config.padding === 'same' || config.padding === 'causal';
    return Math.ceil((padded ? size : size - dilated + 1) / step);
  };
}

function transposed(config: Config) {
  return (size: number, axis: number): number => {
    const step = along(config.strides, axis, 1);
    const window = along(config.kernel_size, axis, 1);
    return config.padding === 'same' ? size * step : size * step + Math.max(window - step, 0);
  };
}

function reshaped(config: Config, input: Shape): Shape {
  const target = Array.isArray(config.target_shape) ? config.target_shape.map(one) : [];
  const all = product(input.slice(1));
  const known = target.reduce<number>((n, s) => n * (s === null || s < 0 ? 1 : s), 1);
  return [
    null,
    ...target.map((s) => (s === null || s < 0 ? (all === null ? null : all / known) : s)),
  ];
}

function product(sizes: Shape): Size {
  return sizes.reduce<Size>((n, s) => (n === null || s === null ? null : n * s), 1);
}

function concatenated(config: Config, inputs: Shape[]): Shape {
  const shape = [...(inputs[0] as Shape)];
  const axis = (one(config.axis) ?? -1) + ((one(config.axis) ?? -1) < 0 ? shape.length : 0);
  const sizes = inputs.map((input) => input[axis] ?? null);
  shape[axis] = sizes.reduce<Size>((n, s) => (n === null || s === null ? null : n + s), 0);
  return shape;
}

function recurrent(config: Config, input: Shape, units: Size): Shape {
  const each = [units];
  return config.return_sequences === true ? [...input.slice(0, -1), ...each] : [null, ...each];
}

/** The layer inside of a wrapper: its type and its configuration. */
export function innerOf(config: Config): [string, Config] {
  const inner = (config.layer ?? {}) as { class_name?: unknown; config?: unknown };
  const own = typeof inner.config === 'object' && inner.config !== null ? inner.config : {};
  return [String(inner.class_name ?? ''), own as Config];
}

function wrapped(type: string, config: Config, input: Shape): Shape | null {
  const [kind, own] = innerOf(config);
  if (type === 'Bidirectional') {
    const once = guessedShape(kind, own, [input]);
    const last = once?.at(-1) ?? null;
    const joined = config.merge_mode === 'concat' && last !== null ? 2 * last : last;
    return once && [...once.slice(0, -1), joined];
  }
  const inner = guessedShape(kind, own, [withoutTime(input)]);
  return inner && [inner[0] ?? null, input[1] ?? null, ...inner.slice(1)];
}

export function withoutTime(shape: Shape): Shape {
  return [shape[0] ?? null, ...shape.slice(2)];
}

const SAME =
  /^(Activation|ReLU|LeakyReLU|ELU|PReLU|Softmax|\w*Dropout\w*|Gaussian\w+|\w*Normalization|Add|Subtract|Multiply|Average|Maximum|Minimum|Rescaling|Identity|Masking|LayerScale)$/;

/** The shape of a layer's output from those of its inputs; null where it cannot be told. */
export function guessedShape(
  type: string,
  config: Config,
  inputs: readonly (Shape | null)[],
): Shape | null {
  if (type === 'InputLayer') return shapeOf(config.batch_shape ?? config.batch_input_shape);
  const known = inputs.filter((input) => input !== null);
  const input = known[0];
  if (!input || known.length < inputs.length) return null;
  const units = one(config.units);
  if (type === 'Dense' && units !== null) return [...input.slice(0, -1), units];
  if (type === 'Embedding') return [...input, one(config.output_dim)];
  if (/^(LSTM|GRU|SimpleRNN)$/.test(type)) return recurrent(config, input, units);
  if (/^(Bidirectional|TimeDistributed)$/.test(type)) return wrapped(type, config, input);
  if (type === 'MultiHeadAttention' && !config.output_shape) return input;
  if (type === 'Flatten') return [null, product(input.slice(1))];
  if (type === 'Reshape') return reshaped(config, input);
  if (type === 'RepeatVector') return [null, one(config.n), ...input.slice(1)];
  if (type === 'Permute' && Array.isArray(config.dims)) {
    return [null, ...config.dims.map((at) => input[Number(at)] ?? null)];
  }
  if (type === 'Concatenate') return concatenated(config, known);
  return alongPlaces(type, config, input) ?? (SAME.test(type) ? input : null);
}

/** Layers that go over the places of an image, a volume or a sequence. */
function alongPlaces(type: string, config: Config, input: Shape): Shape | null {
  const channels = channelsOf(config, input);
  const filters = one(config.filters);
  if (/^Global(Max|Average)Pooling\dD$/.test(type)) {
    const kept = config.keepdims === true;
    return kept ? spatial(config, input, channels, () => 1) : [null, channels];
  }
  if (/^(Separable)?Conv\dD$/.test(type)) {
    return spatial(config, input, filters, windows(config, config.kernel_size, config.strides));
  }
  if (/^Conv\dDTranspose$/.test(type)) return spatial(config, input, filters, transposed(config));
  if (/^DepthwiseConv\dD$/.test(type)) {
    const made = channels === null ? null : channels * (one(config.depth_multiplier) ?? 1);
    return spatial(config, input, made, windows(config, config.kernel_size, config.strides));
  }
  if (/^(Max|Average)Pooling\dD$/.test(type)) {
    const pooled = windows(config, config.pool_size, config.strides ?? config.pool_size);
    return spatial(config, input, channels, pooled);
  }
  if (/^ZeroPadding\dD$/.test(type))
    return spatial(config, input, channels, frame(type, config.padding, 1));
  if (/^Cropping\dD$/.test(type))
    return spatial(config, input, channels, frame(type, config.cropping, -1));
  if (/^UpSampling\dD$/.test(type)) {
    return spatial(config, input, channels, (size, axis) => size * along(config.size, axis, 1));
  }
  return null;
}

/** Along one axis a pair means before and after; along several each axis has a pair of its own. */
function frame(type: string, value: unknown, sign: number) {
  const pairs = /1D$/.test(type) && Array.isArray(value) ? [value] : value;
  return (size: number, axis: number): number => {
    const own = Array.isArray(pairs) ? pairs[axis] : pairs;
    const [before, after] = Array.isArray(own) ? own : [own, own];
    return size + sign * ((one(before) ?? 0) + (one(after) ?? 0));
  };
}
