/** What an HDF5 file says of an array: its shape, the kind of its numbers, and where they lie. */

import { FileError } from './archive';
import { type NumberType, typeOf } from './numbers';

export interface Dataset {
  shape: number[];
  type: NumberType;
  /** Where its numbers lie, one after the other; null where they lie in pieces, or nowhere. */
  place: { start: number; bytes: number } | null;
  /** How its pieces are found and unpacked; null where its numbers lie in one place. */
  pieces: Pieces | null;
  /** Why they cannot be read, or an empty text. */
  refusal: string;
}

export interface Pieces {
  /** Address of the list of pieces. */
  tree: number;
  /** Size of a piece along each axis. */
  shape: number[];
  /** What was done to each piece, in this order. */
  filters: Filter[];
}

/** `shuffle` puts the first bytes of all numbers first; `checksum` adds four bytes. */
export type Filter =
  | { kind: 'deflate' }
  | { kind: 'checksum' }
  | { kind: 'shuffle'; bytes: number };

const UNDEFINED = 2 ** 64;
const MOST_RANK = 32;
const MOST_FILTERS = 32;
/** Bytes of one piece, unpacked: what is more would fill the memory for a few numbers. */
const MOST_PIECE = 64 << 20;

export function damaged(what: string): FileError {
  return new FileError('The HDF5 file is damaged: %1.', what);
}

/** A number of eight bytes; the greatest one means "nowhere". */
export function long(data: DataView, at: number): number {
  return data.getUint32(at, true) + data.getUint32(at + 4, true) * 2 ** 32;
}

export function shapeOf(data: DataView): number[] {
  const [version, rank] = [data.getUint8(0), data.getUint8(1)];
  if (rank > MOST_RANK) throw damaged(`something has ${rank} axes`);
  if (version === 2 && data.getUint8(3) === 2) return [0];
  const at = version === 1 ? 8 : 4;
  return Array.from({ length: rank }, (_, axis) => long(data, at + 8 * axis));
}

/**
 * Reads the description of an array.
 *
 * @param space - Its shape.
 * @param kind - The kind of its numbers.
 * @param layout - Where they lie.
 * @param packed - What was done to its pieces, where anything was.
 * @param end - Bytes of the file.
 */
export function datasetOf(
  space: DataView,
  kind: DataView,
  layout: DataView,
  packed: DataView | undefined,
  end: number,
): Dataset {
  const shape = shapeOf(space);
  const type = typeOf(kind);
  const known = { shape, type, place: null, pieces: null };
  const refuse = (refusal: string): Dataset => ({ ...known, refusal });
  if (layout.getUint8(0) < 3) return refuse('they are stored in an old way');
  const kindOfPlace = layout.getUint8(1);
  if (kindOfPlace === 0) return refuse('they are stored inside of their description');
  if (kindOfPlace === 2) {
    if (layout.getUint8(0) > 3) return refuse('their pieces are listed in a new way');
    const filters = packed ? filtersOf(packed) : [];
    if (typeof filters === 'string') return refuse(filters);
    const pieces = { ...piecesOf(layout), filters };
    if (pieces.shape.length !== shape.length)
      throw damaged('pieces have other axes than the whole');
    if (pieces.tree >= UNDEFINED / 2) return refuse('they were never written');
    const bytes = pieces.shape.reduce((product, size) => product * size, type.bytes);
    if (!(bytes > 0 && bytes <= MOST_PIECE)) return refuse('one piece of them is too large');
    return { ...known, pieces, refusal: '' };
  }
  if (kindOfPlace !== 1 || packed) return refuse('they are stored in an unknown way');
  const start = long(layout, 2);
  if (start >= UNDEFINED / 2) return refuse('they were never written');
  const needed = shape.reduce((product, size) => product * size, type.bytes);
  if (long(layout, 10) < needed || start + needed > end) {
    return refuse('the file is too short for them');
  }
  return { ...known, place: { start, bytes: needed }, refusal: '' };
}

function piecesOf(layout: DataView): { tree: number; shape: number[] } {
  const axes = layout.getUint8(2);
  if (axes < 2 || axes > MOST_RANK + 1) throw damaged(`something has ${axes} axes`);
  // The last axis is the bytes of a number.
  const shape = Array.from({ length: axes - 1 }, (_, axis) =>
    layout.getUint32(11 + 4 * axis, true),
  );
  if (shape.some((size) => size === 0)) throw damaged('a piece has no size');
  return { tree: long(layout, 3), shape };
}

/** What was done to pieces, in order; a text where it cannot be undone here. */
function filtersOf(data: DataView): Filter[] | string {
  const [version, count] = [data.getUint8(0), data.getUint8(1)];
  if (count > MOST_FILTERS) throw damaged('its numbers are packed too often');
  const found: Filter[] = [];
  let at = version === 1 ? 8 : 2;
  for (let filter = 0; filter < count; filter++) {
    const id = data.getUint16(at, true);
    const named = version === 1 || id >= 256;
    const name = named ? data.getUint16(at + 2, true) : 0;
    at += named ? 4 : 2;
    const values = data.getUint16(at + 2, true);
    at += 4 + (version === 1 ? Math.ceil(name / 8) * 8 : name);
    const first = values > 0 ? data.getUint32(at, true) : 0;
    at += 4 * (version === 1 && values % 2 === 1 ? values + 1 : values);
    if (id === 1) found.push({ kind: 'deflate' });
    else if (id === 2) found.push({ kind: 'shuffle', bytes: first });
    else if (id === 3) found.push({ kind: 'checksum' });
    else return `they are compressed in a way that browsers cannot undo (filter ${id})`;
  }
  return found;
}
