/** HDF5 files, good and hostile, read without a browser. */

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type ByteSource, FileError } from './archive';
import { ModelFile } from './file';
import { sourceOf } from './fixtures';
import { Hdf5File } from './hdf5';

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
});

/** Numbers that lie in pieces, compressed in every way that browsers can undo, and in one they cannot. */
const PIECES = `
import h5py, io, sys
import numpy as np
file = h5py.File(held := io.BytesIO(), "w")
rng = np.random.default_rng(0)
cube = np.arange(7 * 10 * 6, dtype="float32").reshape(7, 10, 6)
file.create_dataset("w/plain", data=cube, chunks=(3, 4, 5))
file.create_dataset("w/gzip", data=cube, chunks=(3, 4, 5), compression="gzip")
file.create_dataset("w/all", data=cube, chunks=(2, 10, 6), compression="gzip", shuffle=True, fletcher32=True)
file.create_dataset("w/line", data=np.arange(1000, dtype="int16"), chunks=(64,), shuffle=True)
file.create_dataset("w/many", data=np.arange(90_000, dtype="float64").reshape(300, 300), chunks=(10, 10), compression="gzip")
file.create_dataset("w/lzf", data=cube, chunks=(3, 4, 5), compression="lzf")
part = file.create_dataset("w/part", shape=(8, 4), dtype="float32", chunks=(2, 4), compression="gzip")
part[4:6] = 3
file.close()
sys.stdout.buffer.write(held.getvalue())
`;
const PACKED = new Uint8Array(execFileSync('python', ['-c', PIECES], { maxBuffer: 1 << 24 }));

test('numbers in pieces and compressed ones come out as they went in', async () => {
  const file = await ModelFile.open(sourceOf(PACKED));
  const of = (name: string) =>
    file.opened.arrays.find((array) => array.name === name)?.address ?? 0;
  for (const name of ['w/plain', 'w/gzip', 'w/all']) {
    const whole = await file.statistics(of(name));
    expect([whole.count, whole.least, whole.greatest, whole.zeros], name).toEqual([420, 0, 419, 1]);
    expect(whole.mean, name).toBeCloseTo(209.5);
    const slice = await file.slice(of(name), [4]);
    expect([...slice.values], name).toEqual(Array.from({ length: 60 }, (_, at) => 240 + at));
  }
  const line = await file.slice(of('w/line'), []);
  expect([...line.values].slice(-2)).toEqual([254, 255]);
  expect((await file.statistics(of('w/line'))).mean).toBeCloseTo(499.5);
  const many = await file.slice(of('w/many'), []);
  expect([many.values[0], many.values[256], many.values.at(-1)]).toEqual([0, 300, 255 * 300 + 255]);
  // Pieces that were never written hold zeros.
  expect((await file.statistics(of('w/part'))).zeros).toBe(24);
  await expect(file.statistics(of('w/lzf'))).rejects.toThrow(
    /browsers cannot undo \(filter 32000\)/,
  );
});

test('a piece that unpacks to more than it may is refused in a sentence, not unpacked', async () => {
  const bomb = `
import h5py, io, sys, zlib
import numpy as np
file = h5py.File(held := io.BytesIO(), "w")
data = file.create_dataset("w/bomb", shape=(8, 8), dtype="float32", chunks=(8, 8), compression="gzip")
data.id.write_direct_chunk((0, 0), zlib.compress(bytes(64 << 20)))
huge = file.create_dataset("w/huge", shape=(1 << 20, 1 << 20), dtype="float32", chunks=(1 << 14, 1 << 14))
file.close()
sys.stdout.buffer.write(held.getvalue())
`;
  const bytes = new Uint8Array(execFileSync('python', ['-c', bomb], { maxBuffer: 1 << 24 }));
  const file = await ModelFile.open(sourceOf(bytes));
  const [packed, huge] = file.opened.arrays;
  await expect(file.statistics(packed?.address ?? 0)).rejects.toThrow(
    /more than the file promises/,
  );
  expect(huge?.refusal).toMatch(/never written|too large/);
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
  for (let round = 0; round < 600; round++) {
    const good = round % 3 === 0 ? PACKED : GOOD;
    const bytes = good.slice(0, random(5) === 0 ? random(good.length) : good.length);
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
