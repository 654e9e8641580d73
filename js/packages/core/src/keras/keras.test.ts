/** Model files, good and hostile, read without a browser. */

import { expect, test } from 'vitest';
import { entryOf, FileError, readDirectory, readText } from './archive';
import { sceneOf, shapeText } from './drawn';
import { INPUT, layer, model, sourceOf, tensor, zip } from './fixtures';
import { parseModel } from './model';

async function contentOf(bytes: Uint8Array, most = 1 << 20): Promise<string> {
  const source = sourceOf(bytes);
  const [entry] = await readDirectory(source);
  if (!entry) throw new Error('no entry');
  return readText(source, entry, most);
}

test('an entry is read whole, and a directory without touching what is before it', async () => {
  expect(await contentOf(zip('config.json', '{"a": 1}'))).toBe('{"a": 1}');
});

test.each([
  ['no zip', new Uint8Array(100).fill(65)],
  ['empty', new Uint8Array(0)],
  ['cut off', zip('config.json', 'x'.repeat(1000)).slice(0, 40)],
])('a file that is %s is refused in a sentence', async (_, bytes) => {
  await expect(readDirectory(sourceOf(bytes))).rejects.toThrow(/^This is no .keras file/);
});

test('an entry that unpacks to more than is allowed is given up, whatever the file promises', async () => {
  const bomb = zip('config.json', '0'.repeat(3 << 20), { size: 10 });
  await expect(contentOf(bomb)).rejects.toThrow(/unpacks to more than the file promises/);
  await expect(contentOf(zip('config.json', '0'.repeat(3 << 20)))).rejects.toThrow(/at most 1 MB/);
});

test('mutated files end in a model or a sentence, never in another error', async () => {
  const good = zip(
    'config.json',
    model([INPUT, layer('y', 'Dense', { units: 2 }, [tensor('x', [null, 4])])]),
  );
  let seed = 1;
  const random = (n: number) => {
    seed = (seed * 48271) % 2147483647;
    return seed % n;
  };
  for (let round = 0; round < 500; round++) {
    const bytes = good.slice(0, random(4) === 0 ? random(good.length) : good.length);
    for (let k = 0; k < 3 && bytes.length > 0; k++) bytes[random(bytes.length)] = random(256);
    try {
      const source = sourceOf(bytes);
      const [entry] = await readDirectory(source);
      if (entry) parseModel(await readText(source, entry, 1 << 20));
    } catch (error) {
      expect(error, `round ${round}`).toBeInstanceOf(FileError);
    }
  }
});

test('shapes come from what is read, parameters from the configuration', () => {
  const found = parseModel(
    model([
      INPUT,
      layer('h', 'Dense', { units: 8, use_bias: true }, [tensor('x', [null, 4])]),
      layer('y', 'Dense', { units: 2, use_bias: false }, [tensor('h', [null, 8])]),
    ]),
  );
  expect(found.layers.map((each) => shapeText(each.shape))).toEqual(['4', '8', '2']);
  expect(found.layers.map((each) => each.parameters)).toEqual([0, 40, 16]);
  expect(found.parameters).toBe(56);
  expect(sceneOf(found).nodes[2]?.inputs).toEqual([1]);
});

test('a nested model is shown in its place, with its name before its layers', () => {
  const inner = {
    class_name: 'Sequential',
    name: 'inner',
    config: {
      name: 'inner',
      layers: [layer('d', 'Dense', { units: 3 })],
    },
    inbound_nodes: [{ args: [tensor('x', [null, 4])], kwargs: {} }],
  };
  const found = parseModel(
    model([INPUT, inner, layer('y', 'ReLU', {}, [tensor('inner', [null, 3])])]),
  );
  expect(found.layers.map((each) => each.name)).toEqual(['x', 'inner/d', 'y']);
  expect(found.layers[2]?.inputs).toEqual([1]);
  expect(found.layers[1]?.parameters).toBe(15);
});

test('layers that wait for each other are named', () => {
  const around = [
    INPUT,
    layer('a', 'Add', {}, [tensor('x', [null, 4]), tensor('b', [null, 4])]),
    layer('b', 'ReLU', {}, [tensor('a', [null, 4])]),
  ];
  expect(() => parseModel(model(around))).toThrow(/Layer 'a' waits for a layer/);
});

test('30,000 references of one layer and models nested without end are refused', () => {
  const many = Array.from({ length: 30_000 }, () => tensor('x', [null, 4]));
  expect(() => parseModel(model([INPUT, layer('y', 'Add', {}, many)]))).toThrow(FileError);
  let nested: object = layer('d', 'ReLU', {});
  for (let k = 0; k < 40; k++)
    nested = { class_name: 'Sequential', config: { name: `n${k}`, layers: [nested] } };
  expect(() => parseModel(JSON.stringify(nested))).toThrow(/nested more than/);
  expect(() => parseModel(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toThrow(FileError);
});

test('a Lambda is told to hold code, and a subclassed model to have none to show', () => {
  const found = parseModel(
    model([INPUT, layer('y', 'Lambda', { function: {} }, [tensor('x', [null, 4])])]),
  );
  expect(found.layers[1]?.holdsCode).toBe(true);
  expect(() => parseModel('{"class_name": "Mine", "config": {}}')).toThrow(/The file holds Mine/);
});

test('a stored entry and a packed size are held to the limit as well', async () => {
  const bytes = zip('config.json', 'x'.repeat(100), { size: 10 });
  const source = sourceOf(bytes);
  const [entry] = await readDirectory(source);
  if (!entry) throw new Error('no entry');
  await expect(readText(source, { ...entry, compressed: 2 ** 31 }, 1 << 20)).rejects.toThrow(
    /at most/,
  );
  const stored = { ...entry, method: 0, compressed: 60 };
  await expect(readText(source, stored, 10)).rejects.toThrow(/longer than the file promises/);
});

test('an entry that is there twice is refused: Python would read the other one', () => {
  const entry = { name: 'config.json', method: 0, compressed: 1, size: 1, offset: 0 };
  expect(entryOf([entry], 'config.json')).toBe(entry);
  expect(() => entryOf([entry, entry], 'config.json')).toThrow(/holds 'config.json' twice/);
});

test('nested models that are called often do not multiply without end', () => {
  let inner: Record<string, unknown> = {
    class_name: 'Functional',
    config: { name: 'm0', layers: [INPUT], input_layers: ['x', 0, 0], output_layers: ['x', 0, 0] },
  };
  for (let level = 1; level < 15; level++) {
    const calls = Array.from({ length: 6 }, () => ({ args: [tensor('x', [null, 4])], kwargs: {} }));
    const called = { ...inner, name: `m${level - 1}`, inbound_nodes: calls };
    const config = { name: `m${level}`, layers: [INPUT, called], input_layers: ['x', 0, 0] };
    inner = { class_name: 'Functional', config: { ...config, output_layers: ['x', 0, 0] } };
  }
  expect(() => parseModel(JSON.stringify(inner))).toThrow(/more than 20,000 layers/);
});

test('layers that are saved in reverse are put in order at once', () => {
  const count = 10_000;
  const reversed = Array.from({ length: count }, (_, k) => {
    const at = count - k;
    return layer(`l${at}`, 'ReLU', {}, [tensor(at === 1 ? 'x' : `l${at - 1}`, [null, 4])]);
  });
  const found = parseModel(model([...reversed, INPUT], { output_layers: [`l${count}`, 0, 0] }));
  expect(found.layers.at(-1)?.name).toBe(`l${count}`);
  expect(found.layers.length).toBe(count + 1);
  // So many are listed, and not drawn.
  expect(sceneOf(found).nodes).toEqual([]);
});

test('a configuration without end, and two layers of one name, are refused by name', () => {
  const bad = layer('y', 'Dense', { units: 2, deep: 'HERE' }, [tensor('x', [null, 4])]);
  const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
  const text = model([INPUT, bad]).replace('"HERE"', deep);
  expect(() => parseModel(text)).toThrow(/layer 'y' is nested too deep/);
  const twice = layer('y', 'ReLU', {}, [tensor('x', [null, 4])]);
  expect(() => parseModel(model([INPUT, twice, twice]))).toThrow(/have the name 'y'/);
});
