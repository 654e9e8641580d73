/** The corpus of bad and hostile files: each kind ends in a sentence, or shows only what is harmless. */

import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { FileError } from './archive';
import { ModelFile } from './file';
import { INPUT, layer, model, sourceOf, tensor, zip } from './fixtures';

const open = (bytes: Uint8Array): Promise<ModelFile> => ModelFile.open(sourceOf(bytes));
const file = (config: string, claims = {}): Uint8Array => zip('config.json', config, claims);
const dense = (name: string, reads: object[]): object => layer(name, 'Dense', { units: 2 }, reads);
const GOOD = file(model([INPUT, dense('y', [tensor('x', [null, 4])])]));

function nested(depth: number): string {
  const open = '{"class_name":"Sequential","config":{"name":"n","layers":[';
  return `${open.repeat(depth)}${']}}'.repeat(depth)}`;
}

/** What h5py writes with these lines. */
function h5(lines: string): Uint8Array {
  const script = [
    'import h5py, io, json, sys',
    'file = h5py.File(held := io.BytesIO(), "w")',
    lines,
    'file.close()',
    'sys.stdout.buffer.write(held.getvalue())',
  ];
  return new Uint8Array(execFileSync('python', ['-c', script.join('\n')]));
}

const CALLS = {
  ...(dense('y', []) as object),
  inbound_nodes: Array.from({ length: 30_000 }, () => ({
    args: [tensor('x', [null, 4])],
    kwargs: {},
  })),
};
const REFUSED: [string, () => Uint8Array, RegExp][] = [
  ['a truncated zip', () => GOOD.slice(0, GOOD.length - 30), /not a zip, or it is cut off/],
  ['a .keras that is no zip', () => new TextEncoder().encode('hello '.repeat(99)), /not a zip/],
  ['a zip bomb', () => file('0'.repeat(65 << 20), { size: 9 }), /more than the file promises/],
  ['a config.json of 200 MB', () => file('{}', { size: 200 << 20 }), /has 200 MB; at most 64 MB/],
  ['a config.json nested 10,000 deep', () => file(nested(10_000)), /nested more than|no JSON/],
  ['30,000 inbound calls of one layer', () => file(model([INPUT, CALLS])), /more than 20,000/],
  [
    'cyclic inbound nodes',
    () => file(model([INPUT, dense('a', [tensor('y', [2])]), dense('y', [tensor('a', [2])])])),
    /waits for a layer that is not there, or for itself/,
  ],
  [
    'duplicate layer names',
    () => file(model([INPUT, dense('y', [tensor('x', [4])]), dense('y', [tensor('x', [4])])])),
    /Two layers of one model have the name 'y'/,
  ],
  [
    'an .h5 that is not HDF5',
    () => new TextEncoder().encode('\x89HDF, almost'),
    /not a zip|no HDF5/,
  ],
  ['an .h5 that is not Keras and empty', () => h5(''), /neither a model nor numbers/],
  ['an .h5 with a damaged model', () => h5('file.attrs["model_config"] = "{"'), /no JSON/],
];

describe('hostile files', () => {
  test.each(REFUSED)('%s is refused in a sentence', async (_, make, sentence) => {
    const error: unknown = await open(make()).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(FileError);
    expect(String(error)).toMatch(sentence);
  });

  test('names with HTML and script stay the texts that they are', async () => {
    const name = '<img src=x onerror=alert(1)>';
    const made = await open(file(model([INPUT, dense(name, [tensor('x', [null, 4])])])));
    expect(made.opened.model?.layers[1]?.name).toBe(name);
  });

  test('an .h5 that is not Keras shows its arrays, and follows no external or soft link', async () => {
    const made = await open(
      h5(
        'file["mine"] = [1.0, 2.0]\nfile["out"] = h5py.ExternalLink("/etc/passwd", "/x")\n' +
          'file["soft"] = h5py.SoftLink("/mine")\nfile["self"] = file["/"]',
      ),
    );
    expect(made.opened.kind).toBe('weights');
    expect(made.opened.arrays.map((array) => array.name)).toEqual(['mine']);
  });

  test('a Lambda layer is shown as one that holds code, which is not run', async () => {
    const code = { class_name: '__lambda__', config: { code: 'cHJpbnQ=' } };
    const lambda = layer('y', 'Lambda', { function: code }, [tensor('x', [null, 4])]);
    const made = await open(file(model([INPUT, lambda])));
    expect(made.opened.model?.layers[1]?.holdsCode).toBe(true);
    expect(made.configuration(1)).toContain('cHJpbnQ=');
  });
});
