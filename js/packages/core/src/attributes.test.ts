import { describe, expect, test } from 'vitest';
import { attributeFacts, attributesOf, shortAttributes } from './attributes';

const told = (config: Record<string, unknown>): string =>
  attributeFacts(attributesOf(config))
    .map(({ label, value }) => `${label} ${value}`)
    .join(', ');

describe('attributes', () => {
  test('a convolution tells its kernel and what is not as usual', () => {
    const config = {
      kernel_size: [3, 3],
      strides: [2, 2],
      padding: 'same',
      dilation_rate: [1, 1],
      groups: 1,
      activation: 'relu',
    };
    expect(told(config)).toBe('kernel 3 × 3, stride 2, padding same, activation relu');
    expect(shortAttributes(config)).toBe(' 3×3/2');
  });

  test('a pooling whose stride is its window does not repeat it', () => {
    expect(shortAttributes({ pool_size: [2, 2], strides: [2, 2] })).toBe(' 2×2');
    expect(shortAttributes({ pool_size: [3, 3], strides: [2, 2] })).toBe(' 3×3/2');
    expect(shortAttributes({ units: 3 })).toBe('');
  });

  test('what a hostile file puts in the place of a number or a word is left out', () => {
    const config = {
      kernel_size: ['<b>', {}],
      strides: Array(1000).fill(1),
      padding: 'x'.repeat(1000),
      activation: { class_name: 'gelu' },
      rate: Number.NaN,
      groups: 4,
    };
    expect(told(config)).toBe('groups 4, rate NaN');
  });
});
