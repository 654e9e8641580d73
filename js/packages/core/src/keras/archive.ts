/** Reads single entries of a `.keras` file (a zip), never trusting the rest; Python has files/archive.py. */

import { plain } from '../say';

/** A file of which parts can be read: bytes from `start` up to, but not including, `end`. */
export interface ByteSource {
  size: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

export interface ArchiveEntry {
  name: string;
  /** 0: stored as it is, 8: deflated. */
  method: number;
  compressed: number;
  size: number;
  offset: number;
}

/** What is wrong with a file, in one sentence for its reader; a page may translate it. */
export class FileError extends Error {
  readonly values: (string | number)[];

  /** Each value takes the place of `%1`, `%2` and so on. */
  constructor(
    readonly template: string,
    ...values: (string | number)[]
  ) {
    super(plain(template, ...values));
    this.values = values;
  }
}

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
/** The end record is at most this far from the end: its own size and the longest comment. */
const TAIL = 22 + 0xffff;
/** A model has three entries, and a few assets. */
const MOST_ENTRIES = 10_000;
const MOST_DIRECTORY_BYTES = 4 << 20;
/** What packing may add to something that cannot be packed. */
const SLACK = 1 << 16;

/** The entries of a zip, read from its directory alone. */
export async function readDirectory(source: ByteSource): Promise<ArchiveEntry[]> {
  const from = Math.max(0, source.size - TAIL);
  const tail = view(await source.read(from, source.size));
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) throw new FileError('This is no .keras file: it is not a zip, or it is cut off.');
  const count = tail.getUint16(end + 10, true);
  const bytes = tail.getUint32(end + 12, true);
  const start = tail.getUint32(end + 16, true);
  if (count > MOST_ENTRIES || bytes > MOST_DIRECTORY_BYTES) {
    throw new FileError('The file promises %1 entries: too many.', count);
  }
  if (start + bytes > source.size) {
    throw new FileError('The file is cut off: its directory points behind its end.');
  }
  return entriesOf(view(await source.read(start, start + bytes)), count);
}

function entriesOf(directory: DataView, count: number): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== ENTRY_SIGNATURE) {
      throw new FileError("The file's directory is damaged.");
    }
    const nameLength = directory.getUint16(at + 28, true);
    const next =
      at +
      46 +
      nameLength +
      directory.getUint16(at + 30, true) +
      directory.getUint16(at + 32, true);
    if (next > directory.byteLength) throw new FileError("The file's directory is damaged.");
    const name = new Uint8Array(directory.buffer, directory.byteOffset + at + 46, nameLength);
    entries.push({
      name: new TextDecoder().decode(name),
      method: directory.getUint16(at + 10, true),
      compressed: directory.getUint32(at + 20, true),
      size: directory.getUint32(at + 24, true),
      offset: directory.getUint32(at + 42, true),
    });
    at = next;
  }
  return entries;
}

/** The entry of a name, or undefined; two of one name are refused, since readers differ on them. */
export function entryOf(entries: readonly ArchiveEntry[], name: string): ArchiveEntry | undefined {
  const found = entries.filter((entry) => entry.name === name);
  if (found.length > 1) throw new FileError("The file holds '%1' twice.", name);
  return found[0];
}

/** The text of one entry, which must not be longer than `most` bytes, whatever the file says. */
export async function readText(
  source: ByteSource,
  entry: ArchiveEntry,
  most: number,
): Promise<string> {
  // Deflate makes nothing longer but for a few bytes, so that neither size may be above the limit.
  const claimed = Math.max(entry.size, entry.compressed - SLACK);
  if (claimed > most) {
    const megabytes = (size: number) => `${(size / (1 << 20)).toFixed(0)} MB`;
    throw new FileError(
      "'%1' has %2; at most %3 are read.",
      entry.name,
      megabytes(claimed),
      megabytes(most),
    );
  }
  const start = await contentStart(source, entry);
  const packed = await source.read(start, start + entry.compressed);
  if (packed.length < entry.compressed) throw new FileError('The file is cut off.');
  if (entry.method === 0 && packed.length > most) {
    throw new FileError("'%1' is longer than the file promises.", entry.name);
  }
  if (entry.method === 0) return new TextDecoder().decode(packed);
  if (entry.method !== 8) throw new FileError("'%1' is packed in an unknown way.", entry.name);
  return new TextDecoder().decode(await inflate(packed, entry.name, most));
}

/** Where an entry's content begins, behind a head of its own. */
async function contentStart(source: ByteSource, entry: ArchiveEntry): Promise<number> {
  const head = view(await source.read(entry.offset, entry.offset + 30));
  if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL_SIGNATURE) {
    throw new FileError("'%1' is not where the file's directory says.", entry.name);
  }
  return entry.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
}

/** An entry that is stored as it is, as a file of its own of which parts can be read. */
export async function stored(source: ByteSource, entry: ArchiveEntry): Promise<ByteSource> {
  if (entry.method !== 0) {
    throw new FileError("'%1' is packed: its parts cannot be read one by one.", entry.name);
  }
  const start = await contentStart(source, entry);
  if (start + entry.size > source.size) throw new FileError('The file is cut off.');
  return {
    size: entry.size,
    read: (from, end) => source.read(start + from, start + Math.min(end, entry.size)),
  };
}

/** Unpacks part by part, and stops where there is more than was promised. */
export async function inflate(
  packed: Uint8Array,
  name: string,
  most: number,
  format: 'deflate' | 'deflate-raw' = 'deflate-raw',
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream(format));
  const pieces: Uint8Array[] = [];
  let total = 0;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      if (total > most) throw new FileError("'%1' unpacks to more than the file promises.", name);
      pieces.push(value);
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    if (error instanceof FileError) throw error;
    throw new FileError("'%1' is damaged and cannot be unpacked.", name);
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
