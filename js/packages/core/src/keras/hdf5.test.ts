/** HDF5 files, good and hostile, read without a browser. */

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type ByteSource, FileError } from './archive';
import { ModelFile } from './file';
import { Hdf5File } from './hdf5';

function sourceOf(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (start, end) => bytes.slice(start, end) };
}

/** A file that h5py writes: links of all kinds, numbers of several, and a text of any length. */
const SCRIPT = `
import h5py, io, json, sys
import numpy as np
file = h5py.File(held := io.BytesIO(), "w")
file["layers/dense/vars/0"] = np.arange(12, dtype="float32").reshape(3, 4) - 5
file["layers/dense/vars/1"] = np.array([1.5, -2], dtype="float16")
file["layers/dense/vars"].attrs["name"] = "hidden"
file["layers/odd/packed"] = h5py.Empty("f4")
file.create_dataset("layers/odd/pieces", data=np.ones((4, 4)), chunks=(2, 2), compression="gzip")
file["layers/odd/whole"] = np.array([[1, 2], [3, 250]], dtype="uint8")
file["layers/odd/elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")
file["layers/odd/soft"] = h5py.SoftLink("/layers/dense")
file["layers/odd/around"] = file["layers"]
file.attrs["long"] = "x" * 100_000
file.close()
sys.stdout.buffer.write(held.getvalue())
`;
const GOOD = new Uint8Array(execFileSync('python', ['-c', SCRIPT], { maxBuffer: 1 << 24 }));

test('names, shapes and kinds are read, and links that lead elsewhere are not followed', async () => {
  const { opened } = await ModelFile.open(sourceOf(GOOD));
  expect(opened.kind).toBe('weights');
  const found = opened.arrays.map(({ name, shape, type }) => `${name} ${shape} ${type}`);
  expect(found).toContain('layers/dense/vars/0 3,4 float32');
  expect(found).toContain('layers/dense/vars/1 2 float16');
  expect(found).toContain('layers/odd/whole 2,2 uint8');
  expect(found.some((name) => /elsewhere|soft|around/.test(name))).toBe(false);
  expect(new Map(opened.facts).get('long')?.length).toBe(200);
});

test('numbers come out as they went in, and a slice is the part that was asked for', async () => {
  const file = await ModelFile.open(sourceOf(GOOD));
  const of = (name: string) =>
    file.opened.arrays.find((array) => array.name === name)?.address ?? 0;
  const kernel = await file.statistics(of('layers/dense/vars/0'));
  expect([kernel.count, kernel.least, kernel.greatest, kernel.zeros]).toEqual([12, -5, 6, 1]);
  expect(kernel.mean).toBeCloseTo(0.5);
  expect(kernel.deviation).toBeCloseTo(Math.sqrt(143 / 12));
  const halves = await file.slice(of('layers/dense/vars/1'), []);
  expect([...halves.values]).toEqual([1.5, -2]);
  const whole = await file.slice(of('layers/odd/whole'), []);
  expect([whole.rows, whole.columns, ...whole.values]).toEqual([2, 2, 1, 2, 3, 250]);
  await expect(file.statistics(of('layers/odd/pieces'))).rejects.toThrow(/they are compressed/);
});

test('of a large file only the parts are read that are asked for', async () => {
  const large = new Uint8Array(64 << 20);
  large.set(GOOD);
  let read = 0;
  const source = sourceOf(large);
  const counted: ByteSource = {
    size: source.size,
    read: (start, end) => {
      read += end - start;
      return source.read(start, end);
    },
  };
  const file = await ModelFile.open(counted);
  await file.statistics(file.opened.arrays[0]?.address ?? 0);
  expect(read).toBeLessThan(1 << 19);
});

test.each([
  ['empty', new Uint8Array(0)],
  ['a text', new TextEncoder().encode('not a model at all, but long enough to be one'.repeat(9))],
  ['cut off', GOOD.slice(0, 60)],
])('a file that is %s is refused in a sentence', async (_, bytes) => {
  await expect(Hdf5File.open(sourceOf(bytes))).rejects.toThrow(/This is no HDF5 file/);
});

test('mutated files end in a view or a sentence, never in another error or without end', async () => {
  let seed = 7;
  const random = (n: number) => {
    seed = (seed * 48271) % 2147483647;
    return seed % n;
  };
  for (let round = 0; round < 400; round++) {
    const bytes = GOOD.slice(0, random(5) === 0 ? random(GOOD.length) : GOOD.length);
    // Most of the file is numbers: what leads to them is at its beginning.
    for (let k = 0; k < 4 && bytes.length > 0; k++) {
      bytes[random(Math.min(bytes.length, 12_000))] = random(3) === 0 ? 255 : random(256);
    }
    try {
      const file = await ModelFile.open(sourceOf(bytes));
      for (const array of file.opened.arrays.slice(0, 4)) {
        await file.statistics(array.address);
        await file.slice(array.address, [random(9)]);
      }
    } catch (error) {
      expect(error, `round ${round}`).toBeInstanceOf(FileError);
    }
  }
});
