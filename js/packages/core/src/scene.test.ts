import { expect, describe as group, test } from 'vitest';
import { chain, node, pruned } from './fixtures';
import {
  cellOfUnit,
  describe,
  formatBytes,
  formatNumber,
  isRemoved,
  lastRemovals,
  livingUnits,
  unitCount,
  unitOfCell,
} from './scene';

group('units', () => {
  const scene = chain();
  const state = pruned(scene);

  test('all groups are laid end to end', () => {
    expect(unitCount(scene)).toBe(10);
  });

  test('a unit is gone from the step on that took it', () => {
    expect([0, 1, 2].map((moment) => isRemoved(state, 2, moment))).toEqual([false, true, true]);
    expect([0, 1, 2].map((moment) => livingUnits(scene, state, moment)[0])).toEqual([6, 5, 4]);
  });

  test('a moment shows the removals of its own step only', () => {
    expect(lastRemovals(scene, state, 0)).toEqual([]);
    expect(lastRemovals(scene, state, 1)).toEqual([{ group: 0, from: 2, into: 0 }]);
    expect(lastRemovals(scene, state, 2)).toEqual([{ group: 0, from: 5, into: -1 }]);
  });

  test('a layer may make only some units of its group, in an order of its own', () => {
    const part = node('part', [], { units: 3, group: 0, map: [4, -1, 1] });
    expect([0, 1, 2].map((cell) => unitOfCell(part, cell))).toEqual([4, -1, 1]);
    expect(cellOfUnit(part, 1)).toBe(2);
    expect(cellOfUnit(part, 0)).toBe(-1);
  });
});

group('sentences', () => {
  const scene = chain();
  const state = pruned(scene);

  test('a unit says its fate in words', () => {
    expect(describe(scene, state, 1, { node: 1, unit: 2 })).toBe(
      'a, unit 2 of 6, removed in step 1, merged into unit 0',
    );
    expect(describe(scene, state, 0, { node: 1, unit: 2 })).toBe('a, unit 2 of 6, importance 0.2');
  });

  test('a layer says what is left, and why it stays', () => {
    expect(describe(scene, state, 2, { node: 1, unit: -1 })).toContain('4 of 6 units');
    expect(describe(scene, state, 2, { node: 3, unit: -1 })).toContain('output of the model');
  });

  test('numbers are as long as a person reads', () => {
    expect([0, 0.01234, 12345.6, 1.5e-9, Number.NaN].map(formatNumber)).toEqual([
      '0',
      '0.0123',
      '12,345.6',
      '1.50e-9',
      '–',
    ]);
    expect([500, 2048, 5 * 1024 ** 2].map(formatBytes)).toEqual(['500 B', '2.00 KB', '5.00 MB']);
  });
});
