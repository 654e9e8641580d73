/** Numbers of an array that is stored in pieces: which are needed, unpacked one by one, put together. */

import { FileError, inflate } from './archive';
import { type Dataset, damaged, type Filter, long } from './dataset';
import { decode } from './numbers';

interface Piece {
  start: number;
  bytes: number;
  /** Filters that this piece went without, as bits. */
  without: number;
  /** Of its first number in the whole. */
  at: number[];
}

/** Reads bytes of the file: from a place, so many; it throws where there are fewer. */
export type Read = (start: number, length: number) => Promise<DataView>;

const TREE = 0x45455254;
const MOST_PIECES = 200_000;
const MOST_BLOCKS = 20_000;
/** Unpacked pieces that stay known, in numbers: 64 MB. */
const MOST_KNOWN = 8 << 20;
/** What packing may add to something that cannot be packed. */
const SLACK = 1 << 16;

export class PieceReader {
  private readonly lists = new Map<number, Promise<Piece[]>>();
  private readonly known = new Map<number, Float64Array>();
  private held = 0;

  constructor(private readonly read: Read) {}

  /** `count` numbers from number `first` on, row by row. What no piece holds is zero. */
  async numbers(dataset: Dataset, first: number, count: number): Promise<Float64Array> {
    const { shape, pieces } = dataset;
    const found = new Float64Array(count);
    if (!pieces) return found;
    const steps = stepsOf(shape);
    for (const piece of await this.list(pieces.tree, shape.length)) {
      const size = pieces.shape.map((each, axis) =>
        Math.min(each, (shape[axis] as number) - (piece.at[axis] as number)),
      );
      if (size.some((each) => each <= 0)) throw damaged('a piece lies beside the whole');
      const start = dot(piece.at, steps);
      const end =
        start +
        dot(
          size.map((each) => each - 1),
          steps,
        );
      if (end < first || start >= first + count) continue;
      const values = await this.unpacked(piece, dataset);
      copy(values, pieces.shape, size, steps, found, start - first);
    }
    return found;
  }

  private list(tree: number, rank: number): Promise<Piece[]> {
    const known = this.lists.get(tree) ?? this.walk(tree, rank);
    this.lists.set(tree, known);
    return known;
  }

  /** All pieces below a node of the list. */
  private async walk(tree: number, rank: number): Promise<Piece[]> {
    const key = 16 + 8 * rank;
    const found: Piece[] = [];
    const open = [tree];
    for (let blocks = 0; open.length > 0; blocks++) {
      if (blocks > MOST_BLOCKS || found.length > MOST_PIECES) throw damaged('pieces without end');
      const at = open.shift() as number;
      const head = await this.read(at, 24);
      if (head.getUint32(0, true) !== TREE || head.getUint8(4) !== 1) {
        throw damaged('a list of pieces is not where it should be');
      }
      const used = head.getUint16(6, true);
      const entries = await this.read(at + 24, used * (key + 8));
      for (let entry = 0; entry < used; entry++) {
        const from = entry * (key + 8);
        const start = long(entries, from + key);
        if (head.getUint8(5) > 0) {
          open.push(start);
          continue;
        }
        found.push({
          start,
          bytes: entries.getUint32(from, true),
          without: entries.getUint32(from + 4, true),
          at: Array.from({ length: rank }, (_, axis) => long(entries, from + 8 + 8 * axis)),
        });
      }
    }
    return found;
  }

  private async unpacked(piece: Piece, { pieces, type }: Dataset): Promise<Float64Array> {
    const known = this.known.get(piece.start);
    if (known) return known;
    const count = pieces?.shape.reduce((product, size) => product * size, 1) ?? 0;
    const most = count * type.bytes;
    if (piece.bytes > most + SLACK) throw damaged('a piece is longer than it may be');
    const packed = await this.read(piece.start, piece.bytes);
    let bytes = new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength);
    const filters = (pieces?.filters ?? []).filter((_, at) => !((piece.without >> at) & 1));
    for (const filter of filters.reverse()) bytes = await undo(filter, bytes, most + SLACK);
    if (bytes.length < most) throw damaged('a piece is too short');
    const values = decode(new DataView(bytes.buffer, bytes.byteOffset, most), type, count);
    this.keep(piece.start, values);
    return values;
  }

  private keep(start: number, values: Float64Array): void {
    this.known.set(start, values);
    this.held += values.length;
    for (const [oldest, { length }] of this.known) {
      if (this.held <= MOST_KNOWN || this.known.size === 1) break;
      this.known.delete(oldest);
      this.held -= length;
    }
  }
}

async function undo(
  filter: Filter,
  bytes: Uint8Array<ArrayBuffer>,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (filter.kind === 'deflate') return inflate(bytes, 'a piece', most, 'deflate');
  if (filter.kind === 'checksum') return bytes.slice(0, Math.max(0, bytes.length - 4));
  const each = filter.bytes;
  if (each < 1 || each > 64) throw damaged('its numbers are packed in an unknown way');
  const count = Math.floor(bytes.length / each);
  const found = bytes.slice();
  for (let byte = 0; byte < each; byte++) {
    for (let at = 0; at < count; at++) found[at * each + byte] = bytes[byte * count + at] as number;
  }
  return found;
}

/** By how many numbers each axis goes on, row by row. */
function stepsOf(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    steps[axis] = (steps[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return steps;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] as number), 0);
}

/** Copies the part of a piece that lies within the whole, line by line. */
function copy(
  values: Float64Array,
  whole: readonly number[],
  size: readonly number[],
  steps: readonly number[],
  into: Float64Array,
  start: number,
): void {
  const own = stepsOf(whole);
  const last = size.length - 1;
  const length = size[last] as number;
  const lines = size.slice(0, last).reduce((product, each) => product * each, 1);
  for (let line = 0; line < lines; line++) {
    let [from, to, rest] = [0, start, line];
    for (let axis = last - 1; axis >= 0; axis--) {
      const place = rest % (size[axis] as number);
      rest = Math.floor(rest / (size[axis] as number));
      from += place * (own[axis] as number);
      to += place * (steps[axis] as number);
    }
    const [left, right] = [Math.max(0, -to), Math.min(length, into.length - to)];
    if (left < right) into.set(values.subarray(from + left, from + right), to + left);
  }
}

/** Where numbers cannot be had, the sentence that says so. */
export function refused(dataset: Dataset): FileError {
  return new FileError('These numbers cannot be read: %1.', dataset.refusal);
}
