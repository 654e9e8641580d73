/** What one call of a layer costs, counted as `paoding.evaluation.cost` counts it. */

import type { Shape } from './parameters';
import { innerOf, withoutTime } from './shapes';

type Config = Record<string, unknown>;

/** Values of one sample, axes of unknown length counted as one. */
function values(shape: Shape): number {
  return shape.slice(1).reduce<number>((product, size) => product * (size ?? 1), 1);
}

const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);

function activationOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const config = (value as { config?: unknown } | null)?.config;
  return typeof config === 'string' ? config : value ? 'other' : 'linear';
}

/** Bias and activation of a linear layer: one operation for each output. */
function extras(config: Config, output: Shape): number {
  const biased = config.use_bias === false ? 0 : 1;
  const active = activationOf(config.activation) === 'linear' ? 0 : 1;
  return (biased + active) * values(output);
}

type Cost = (config: Config, input: Shape, output: Shape, parameters: number | null) => number;

/** Weights without the biases, which are as many as filters or units. */
const kernel = (config: Config, parameters: number | null, biases: unknown): number =>
  number(parameters) - (config.use_bias === false ? 0 : number(biases));

const convolution: Cost = (config, _, output, parameters) => {
  const taps = kernel(config, parameters, config.filters) / number(config.filters);
  return 2 * values(output) * taps + extras(config, output);
};
const transposed: Cost = (config, input, output, parameters) => {
  const channels = config.data_format === 'channels_first' ? input[1] : input.at(-1);
  const spread = kernel(config, parameters, config.filters) / number(channels);
  return 2 * values(input) * spread + extras(config, output);
};
const depthwise: Cost = (config, _, output, parameters) => {
  const channels = number(config.data_format === 'channels_first' ? output[1] : output.at(-1));
  const taps = kernel(config, parameters, channels) / channels;
  return 2 * values(output) * taps + extras(config, output);
};
const separable: Cost = (config, _, output, parameters) => {
  const places = values(output) / number(config.filters);
  return 2 * places * kernel(config, parameters, config.filters) + extras(config, output);
};
const dense: Cost = (config, input, output) =>
  2 * values(output) * number(input.at(-1)) + extras(config, output);
const each =
  (times: number): Cost =>
  (_, __, output) =>
    times * values(output);
const pooling: Cost = (config, _, output) => {
  const sizes = Array.isArray(config.pool_size) ? config.pool_size.map(number) : [];
  return values(output) * sizes.reduce((product, size) => product * size, 1);
};

const recurrent =
  (gates: number): Cost =>
  (config, input) => {
    const units = number(config.units);
    return 2 * (input[1] ?? 1) * gates * units * (number(input.at(-1)) + units);
  };

/** Projections of queries, keys and values, the scores, and the projection of what they choose. */
function attention(config: Config, query: Shape, value: Shape): number {
  const places = (shape: Shape) => values(shape) / number(shape.at(-1));
  const [queries, keys] = [places(query), places(value)];
  const heads = number(config.num_heads);
  const width = number(config.key_dim);
  const made = number(config.value_dim ?? config.key_dim);
  const asked = queries * number(query.at(-1)) * heads * (width + made);
  const told = keys * number(value.at(-1)) * heads * (width + made);
  return 2 * (asked + told + queries * keys * heads * (width + made));
}

const COSTS: [RegExp, Cost][] = [
  [/^LSTM$/, recurrent(4)],
  [/^GRU$/, recurrent(3)],
  [/^SimpleRNN$/, recurrent(1)],
  [/^Dense$/, dense],
  [/^Conv\dD$/, convolution],
  [/^Conv\dDTranspose$/, transposed],
  [/^DepthwiseConv\dD$/, depthwise],
  [/^SeparableConv\dD$/, separable],
  [/^(BatchNormalization|Normalization|PReLU|Rescaling)$/, each(2)],
  [/^(LayerNormalization|RMSNormalization|UnitNormalization|GroupNormalization)$/, each(7)],
  [/^(ReLU|LeakyReLU|ELU|LayerScale)$/, each(1)],
  [/^Softmax$/, each(3)],
  [
    /^Activation$/,
    (config, _, output) => (activationOf(config.activation) === 'linear' ? 0 : values(output)),
  ],
  [/^(Max|Average)Pooling\dD$/, pooling],
  [/^Global(Max|Average)Pooling\dD$/, (_, input) => values(input)],
];

const FREE =
  /^(InputLayer|Flatten|Reshape|Permute|RepeatVector|Masking|Identity|Concatenate|Embedding|Cropping\dD|ZeroPadding\dD|UpSampling\dD|ActivityRegularization|\w*Dropout\w*|Gaussian\w+)$/;

/** Operations of one call on one sample, a multiply-add counted as two; null where not known. */
export function flopsOf(
  type: string,
  config: Config,
  inputs: readonly (Shape | null)[],
  output: Shape | null,
  parameters: number | null,
): number | null {
  if (FREE.test(type)) return 0;
  const input = inputs[0];
  if (!output || !input) return null;
  if (/^(Add|Subtract|Multiply|Average|Maximum|Minimum)$/.test(type)) {
    return (inputs.length - 1) * values(output);
  }
  const [kind, own] = innerOf(config);
  if (type === 'Bidirectional') {
    const once = flopsOf(kind, own, inputs, output, null);
    return once === null ? null : 2 * once;
  }
  if (type === 'TimeDistributed') {
    const once = flopsOf(kind, own, [withoutTime(input)], withoutTime(output), parameters);
    return once === null ? null : (input[1] ?? 1) * once;
  }
  if (type === 'MultiHeadAttention') {
    return finite(attention(config, input, inputs[1] ?? input));
  }
  const cost = COSTS.find(([types]) => types.test(type))?.[1];
  const found = cost?.(config, input, output, parameters) ?? Number.NaN;
  return finite(found);
}

function finite(found: number): number | null {
  return Number.isFinite(found) ? Math.round(found) : null;
}
