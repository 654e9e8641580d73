/** Two models side by side, and the files of a run folder. */

import { expect, test } from 'vitest';
import { FileError } from './archive';
import { type Compared, ghostOf, pairLayers } from './compare';
import { parsePlan, parseReport } from './run';

const layer = (name: string, units: number, parameters = units): Compared => ({
  name,
  type: 'Dense',
  inputs: [],
  shape: [null, units],
  parameters,
  flops: 0,
});
const plan = (steps: object[][]) => JSON.stringify({ fingerprint: 'f', settings: {}, steps });

test('layers are matched by name, then by type and shape; the rest went or is new', () => {
  const before = [layer('a', 4), layer('b', 8), layer('c', 5), layer('d', 6)];
  const after = [layer('a', 4), layer('b', 3), layer('other', 5), layer('e', 9)];
  const states = pairLayers(before, after).map((pair) => [pair.before, pair.after, pair.state]);
  expect(states).toEqual([
    [0, 0, 'same'],
    [1, 1, 'changed'],
    [2, 2, 'same'],
    [3, -1, 'gone'],
    [-1, 3, 'new'],
  ]);
});

test('the ghost strikes out the units of the plan, in the step in which each went', () => {
  const steps = [[{ group: 'b', unit: 1, into: 0 }], [{ group: 'b', unit: 2, into: null }]];
  const { scene, state } = ghostOf(
    { name: 'net', layers: [layer('a', 4), layer('b', 3)] },
    parsePlan(plan(steps)),
  );
  expect(scene.groups.map(({ name, units }) => [name, units])).toEqual([['b', 3]]);
  expect([...state.removedAt]).toEqual([-1, 0, 1]);
  expect([...state.into]).toEqual([-1, 0, -1]);
});

test('a plan of another model, with more units than a layer has, strikes out nothing', () => {
  const wrong = parsePlan(plan([[{ group: 'b', unit: 99, into: null }]]));
  expect(ghostOf({ name: 'net', layers: [layer('b', 3)] }, wrong).scene.groups).toEqual([]);
  const endless = { name: 'net', layers: [layer('b', 2 ** 40)] };
  expect(ghostOf(endless, wrong).scene.groups).toEqual([]);
});

test.each([
  '',
  'null',
  '[]',
  '{"steps": 3}',
  '{"steps": [], "fingerprint": 1}',
  plan([[{ group: 1 }]]),
])('a plan such as %j is refused in a sentence', (text) => {
  expect(() => parsePlan(text)).toThrow(FileError);
});

test('a report with anything in it is read or refused in a sentence', () => {
  const odd = {
    layers: [null, { layer: 7 }],
    steps: [[]],
    certificate: { lower: 'x' },
    evaluation: { a: { b: 1 } },
  };
  const report = parseReport(JSON.stringify(odd));
  expect(report.certificate).toBeNull();
  expect(report.measured).toEqual([['a · b', 1]]);
  expect(() => parseReport('{"layers": {}}')).toThrow(FileError);
});
