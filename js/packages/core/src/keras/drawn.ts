/** A model of a file as the structure view draws it: what it needs of a layer, and its colours. */

import type { Scene } from '../scene';
import type { KerasLayer } from './model';
import type { Shape } from './parameters';

/** A shape without its batch axis, for people. */
export function shapeText(shape: Shape | null): string {
  if (!shape) return '?';
  const sizes = shape.slice(1).map((size) => size ?? '?');
  return sizes.join(' × ') || 'one number';
}

const KINDS: [string, RegExp][] = [
  ['input', /^InputLayer$/],
  ['weights', /(Conv\d|Dense|Embedding)/],
  ['sequence', /(LSTM|GRU|RNN|Attention|Bidirectional|TimeDistributed)/],
  ['norm', /(Normalization|LayerScale|Rescaling)$/],
  ['activation', /^(Activation|\w*ReLU|ELU|Softmax|\w*Dropout\w*|Relu\d?|Silu|Gelu|Sigmoid)$/],
  ['pool', /(Pooling\dD|Flatten|Reshape|ZeroPadding\dD|Cropping\dD|UpSampling\dD|Permute)$/],
  ['merge', /^(Add|Concatenate|Multiply|Subtract|Average|Maximum|Minimum|Dot)$/],
];

/** The part of a layer that the drawing needs. */
export type Drawn = Pick<KerasLayer, 'name' | 'type' | 'inputs' | 'shape' | 'parameters'> &
  Partial<Pick<KerasLayer, 'attributes'>>;

/** To lay out more layers would keep the page busy for seconds; real models have a fifth of it. */
export const MOST_DRAWN = 5000;

/**
 * The same model as the structure view draws it, with or without stripes for the layers' kinds.
 * Of a model of too many layers nothing is drawn.
 */
export function sceneOf(model: { name: string; layers: Drawn[] }, stripes = true): Scene {
  const layers = model.layers.length > MOST_DRAWN ? [] : model.layers;
  return {
    name: model.name,
    groups: [],
    nodes: layers.map((layer) => ({
      name: layer.name,
      op: layer.type === 'InputLayer' ? 'Input' : layer.type,
      detail: shapeText(layer.shape),
      inputs: [...new Set(layer.inputs)],
      units: 0,
      group: -1,
      parameters: layer.parameters ?? 0,
      attributes: layer.attributes ?? {},
      // What normalizes or only passes on stands on the card before it.
      alone: layer.parameters !== 0 && !/Normalization$/.test(layer.type),
      note: '',
      ...(stripes
        ? { kind: KINDS.find(([, types]) => types.test(layer.type))?.[0] ?? 'other' }
        : {}),
    })),
  };
}
