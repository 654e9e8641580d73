/** How many parameters a Keras layer has, from its configuration and the shape of what it reads. */

export type Shape = readonly (number | null)[];
type Config = Record<string, unknown>;
type Count = (config: Config, input: Shape, built: Config) => number | null;

const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);
const size = (value: unknown): number =>
  Array.isArray(value)
    ? value.reduce((product: number, each) => product * number(each), 1)
    : number(value);
const has = (config: Config, name: string): number => (config[name] === false ? 0 : 1);
const channels = (config: Config, input: Shape): number =>
  number(config.data_format === 'channels_first' ? input[1] : input.at(-1));

function convolution(config: Config, input: Shape): number {
  const filters = number(config.filters);
  const groups = number(config.groups ?? 1);
  const kernel = kernelPlaces(config, input.length - 2);
  return (kernel * channels(config, input) * filters) / groups + has(config, 'use_bias') * filters;
}

/** Places of a kernel; one number stands for all its axes. */
function kernelPlaces(config: Config, axes: number): number {
  const kernel = config.kernel_size;
  return typeof kernel === 'number' ? kernel ** axes : size(kernel);
}

function depthwise(config: Config, input: Shape): number {
  const made = channels(config, input) * number(config.depth_multiplier ?? 1);
  return kernelPlaces(config, input.length - 2) * made + has(config, 'use_bias') * made;
}

function separable(config: Config, input: Shape): number {
  const made = channels(config, input) * number(config.depth_multiplier ?? 1);
  const filters = number(config.filters);
  const own = kernelPlaces(config, input.length - 2) * made + made * filters;
  return own + has(config, 'use_bias') * filters;
}

/** Along the normalized axes, so many numbers each. */
function normalized(config: Config, input: Shape, each: number): number {
  const axis = config.axis ?? -1;
  const axes = Array.isArray(axis) ? axis.map(number) : [number(axis)];
  return each * axes.reduce((product, at) => product * number(input.at(at)), 1);
}

function recurrent(gates: number, biases: (config: Config) => number): Count {
  return (config, input) => {
    const units = number(config.units);
    const kernels = gates * units * (number(input.at(-1)) + units);
    return kernels + has(config, 'use_bias') * biases(config) * gates * units;
  };
}

/** Query, key, value and output projections; the built shapes tell what keys and values read. */
function attention(config: Config, input: Shape, built: Config): number | null {
  if (config.output_shape) return null;
  const heads = number(config.num_heads);
  const keys = heads * number(config.key_dim);
  const values = heads * number(config.value_dim ?? config.key_dim);
  const lastOf = (shape: unknown) => (Array.isArray(shape) ? number(shape.at(-1)) : undefined);
  const query = number(input.at(-1));
  const value = lastOf(built.value_shape) ?? query;
  const key = lastOf(built.key_shape) ?? value;
  const bias = has(config, 'use_bias') * (2 * keys + values + query);
  return query * keys + key * keys + value * values + values * query + bias;
}

const COUNTS: Record<string, Count> = {
  Dense: (config, input) => (number(input.at(-1)) + has(config, 'use_bias')) * number(config.units),
  Conv1D: convolution,
  Conv2D: convolution,
  Conv3D: convolution,
  Conv1DTranspose: convolution,
  Conv2DTranspose: convolution,
  Conv3DTranspose: convolution,
  DepthwiseConv1D: depthwise,
  DepthwiseConv2D: depthwise,
  SeparableConv1D: separable,
  SeparableConv2D: separable,
  BatchNormalization: (config, input) =>
    normalized(config, input, 2 + has(config, 'center') + has(config, 'scale')),
  LayerNormalization: (config, input) =>
    normalized(
      config,
      input,
      config.rms_scaling === true ? 1 : has(config, 'center') + has(config, 'scale'),
    ),
  GroupNormalization: (config, input) =>
    normalized(config, input, has(config, 'center') + has(config, 'scale')),
  LayerScale: (config) => number(config.projection_dim),
  Embedding: (config) => number(config.input_dim) * number(config.output_dim),
  LSTM: recurrent(4, () => 1),
  GRU: recurrent(3, (config) => (config.reset_after === false ? 1 : 2)),
  SimpleRNN: recurrent(1, () => 1),
  MultiHeadAttention: attention,
  PReLU: (config, input) => {
    const shared = Array.isArray(config.shared_axes) ? config.shared_axes.map(number) : [];
    return input
      .slice(1)
      .reduce<number>((n, s, at) => n * (shared.includes(at + 1) ? 1 : number(s)), 1);
  },
  // Mean and variance of each normalized place, and how many batches were counted.
  Normalization: (config, input) =>
    config.mean !== undefined && config.mean !== null ? 0 : normalized(config, input, 2) + 1,
};

/** Layers without weights of their own. */
const WEIGHTLESS =
  /^(InputLayer|Activation|ReLU|LeakyReLU|ELU|Softmax|Add|Subtract|Multiply|Average|Maximum|Minimum|Concatenate|Dot|Flatten|Reshape|Permute|RepeatVector|Masking|Rescaling|Resizing|CenterCrop|Identity|Lambda|CustomScaleLayer|Cropping\dD|ZeroPadding\dD|UpSampling\dD|(Global)?(Max|Average)Pooling\dD|Attention|UnitNormalization|ActivityRegularization)$/;

/** The number of parameters, or null where it cannot be told. Random layers keep a seed's state. */
export function parametersOf(
  type: string,
  config: Config,
  input: Shape | null,
  built: Config = {},
): number | null {
  const count = COUNTS[type];
  if (count) {
    const found = input ? count(config, input, built) : null;
    return found !== null && Number.isFinite(found) ? found : null;
  }
  return WEIGHTLESS.test(type) || isOperation(type) || isDropout(type) ? 0 : null;
}

/** Calls of `keras.ops` are saved as layers too; they have no weights. */
function isOperation(type: string): boolean {
  return /^(Get[A-Z]|Operation|Mean|Sum|Sqrt|Matmul|Einsum|Sigmoid|Relu|Relu6|Silu|Gelu|Tanh|Exp|Log|Transpose|Split|Cast|Negative|Power|Square|Abs|Clip|Where|Stack|Divide|TrueDivide|BroadcastTo|ExpandDims|Squeeze|Max|Min)/.test(
    type,
  );
}

function isDropout(type: string): boolean {
  return /(Dropout\d?D?|GaussianNoise|^Random\w+)$/.test(type);
}
