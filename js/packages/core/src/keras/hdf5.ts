/** Reads HDF5 files as Keras writes them, in parts: names, shapes and numbers, and only those asked for. */

import { type ByteSource, FileError } from './archive';
import { type Dataset, damaged, datasetOf, long, shapeOf } from './dataset';
import { decode } from './numbers';
import { PieceReader, refused } from './pieces';

export interface Hdf5Object {
  address: number;
  dataset: Dataset | null;
  /** Whether it is a group, which has children. */
  group: boolean;
  messages: Message[];
}

interface Message {
  type: number;
  data: DataView;
}

export interface Link {
  name: string;
  /** Address of the object; null for links that lead elsewhere: these are never followed. */
  address: number | null;
}

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const UNDEFINED = 2 ** 64;
const PAGE = 1 << 13;
/** Pages that stay known: 16 MB. */
const MOST_PAGES = 2048;
/** Blocks that one object's header, or one group's list of names, may be spread over. */
const MOST_BLOCKS = 4096;
const MOST_CHILDREN = 100_000;
const MOST_HEAP = 16 << 20;
const MOST_TEXT = 64 << 20;

const DATASPACE = 1;
const LINK_INFO = 2;
const DATATYPE = 3;
const LINK = 6;
const LAYOUT = 8;
const FILTERS = 11;
const ATTRIBUTE = 12;
const CONTINUATION = 16;
const SYMBOLS = 17;

function ascii(data: DataView, at: number, most: number): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset + at, most);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export class Hdf5File {
  private readonly pages = new Map<number, Promise<Uint8Array>>();
  private readonly pieces: PieceReader;
  root = 0;

  private constructor(private readonly source: ByteSource) {
    this.pieces = new PieceReader((start, length) => this.bytes(start, length));
  }

  /** Opens a file by its first bytes. */
  static async open(source: ByteSource): Promise<Hdf5File> {
    const file = new Hdf5File(source);
    const head = await file.bytes(0, Math.min(source.size, 96));
    if (head.byteLength < 64 || SIGNATURE.some((byte, at) => head.getUint8(at) !== byte)) {
      throw new FileError('This is no HDF5 file, or it is cut off.');
    }
    const version = head.getUint8(8);
    const sizes =
      version < 2 ? [head.getUint8(13), head.getUint8(14)] : [head.getUint8(9), head.getUint8(10)];
    const at = version === 0 ? 64 : version === 1 ? 68 : 36;
    const base = long(head, version === 0 ? 24 : version === 1 ? 28 : 12);
    if (version > 3 || sizes.some((size) => size !== 8) || base !== 0 || head.byteLength < at + 8) {
      throw new FileError('This HDF5 file is of a kind that Keras does not write.');
    }
    file.root = long(head, at);
    return file;
  }

  /** Bytes of the file, which must have them. */
  async bytes(start: number, length: number): Promise<DataView> {
    if (!(start >= 0 && length >= 0 && start + length <= this.source.size)) {
      throw damaged('something points behind its end');
    }
    const whole = new Uint8Array(length);
    const first = Math.floor(start / PAGE);
    const last = Math.floor((start + length - 1) / PAGE);
    for (let page = first; page <= last; page++) {
      const content = await this.page(page);
      const from = Math.max(0, start - page * PAGE);
      whole.set(content.subarray(from, start + length - page * PAGE), page * PAGE + from - start);
    }
    return new DataView(whole.buffer);
  }

  private page(number: number): Promise<Uint8Array> {
    const known = this.pages.get(number);
    if (known) return known;
    const end = Math.min(this.source.size, (number + 1) * PAGE);
    const read = this.source.read(number * PAGE, end).then((content) => {
      if (content.length < end - number * PAGE) throw new FileError('The file is cut off.');
      return content;
    });
    if (this.pages.size >= MOST_PAGES) this.pages.delete(this.pages.keys().next().value ?? -1);
    this.pages.set(number, read);
    return read;
  }

  /** Numbers of a dataset, read past the pages: they are many, and rarely asked for twice. */
  async numbers(dataset: Dataset, first: number, count: number): Promise<Float64Array> {
    const { place, type } = dataset;
    if (dataset.pieces) return guarded(() => this.pieces.numbers(dataset, first, count));
    if (!place) throw refused(dataset);
    const start = place.start + first * type.bytes;
    const bytes = await this.source.read(start, start + count * type.bytes);
    if (bytes.length < count * type.bytes) throw new FileError('The file is cut off.');
    return decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), type, count);
  }

  /** What lies at an address: a group, a dataset, or something else. */
  async object(address: number): Promise<Hdf5Object> {
    const messages = await this.messages(address);
    const group = messages.some(
      ({ type }) => type === SYMBOLS || type === LINK_INFO || type === LINK,
    );
    const has = (type: number) => messages.some((message) => message.type === type);
    const numbers = has(LAYOUT) && has(DATATYPE) && has(DATASPACE);
    const dataset = numbers ? await guarded(async () => this.dataset(messages)) : null;
    return { address, messages, group, dataset };
  }

  private async messages(address: number): Promise<Message[]> {
    const head = await this.bytes(address, 16);
    return head.getUint32(0, true) === 0x5244484f // OHDR
      ? this.newMessages(address)
      : this.oldMessages(address, head);
  }

  private async oldMessages(address: number, head: DataView): Promise<Message[]> {
    if (head.getUint8(0) !== 1) throw damaged('an object is not where it should be');
    const found: Message[] = [];
    const open = [{ start: address + 16, length: head.getUint32(8, true) }];
    for (let blocks = 0; open.length > 0; blocks++) {
      const { start, length } = open.shift() as { start: number; length: number };
      if (blocks > MOST_BLOCKS || length > MOST_HEAP) throw damaged('an object has no end');
      const block = await this.bytes(start, length);
      for (let at = 0; at + 8 <= length; ) {
        const size = block.getUint16(at + 2, true);
        if (at + 8 + size > length) break;
        this.take(found, open, block.getUint16(at, true), block, at + 8, size);
        at += 8 + size;
      }
    }
    return found;
  }

  private async newMessages(address: number): Promise<Message[]> {
    const head = await this.bytes(address, Math.min(64, this.source.size - address));
    const flags = head.getUint8(5);
    let at = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    const wide = 1 << (flags & 3);
    const length =
      wide === 8
        ? long(head, at)
        : wide === 4
          ? head.getUint32(at, true)
          : wide === 2
            ? head.getUint16(at, true)
            : head.getUint8(at);
    at += wide;
    const prefix = flags & 4 ? 6 : 4;
    const found: Message[] = [];
    const open = [{ start: address + at, length }];
    for (let blocks = 0; open.length > 0; blocks++) {
      const { start, length: size } = open.shift() as { start: number; length: number };
      if (blocks > MOST_BLOCKS || size > MOST_HEAP) throw damaged('an object has no end');
      const block = await this.bytes(start, size);
      // A block that continues begins with its signature, and ends with a checksum.
      let place = blocks === 0 ? 0 : 4;
      const end = blocks === 0 ? size : size - 4;
      while (place + prefix <= end) {
        const length_ = block.getUint16(place + 1, true);
        if (place + prefix + length_ > end) break;
        this.take(found, open, block.getUint8(place), block, place + prefix, length_);
        place += prefix + length_;
      }
    }
    return found;
  }

  private take(
    found: Message[],
    open: { start: number; length: number }[],
    type: number,
    block: DataView,
    at: number,
    size: number,
  ): void {
    const data = new DataView(block.buffer, block.byteOffset + at, size);
    if (type === CONTINUATION && size >= 16)
      open.push({ start: long(data, 0), length: long(data, 8) });
    else if (type !== 0) found.push({ type, data });
  }

  /** The names in a group, with what they lead to. */
  async children(object: Hdf5Object): Promise<Link[]> {
    return guarded(async () => {
      const symbols = object.messages.find((message) => message.type === SYMBOLS);
      if (symbols) return this.oldLinks(long(symbols.data, 0), long(symbols.data, 8));
      const info = object.messages.find((message) => message.type === LINK_INFO);
      if (info) {
        const heap = long(info.data, 2 + (info.data.getUint8(1) & 1 ? 8 : 0));
        if (heap < UNDEFINED / 2) {
          throw new FileError(
            'A group of this HDF5 file keeps its names in a way that Keras does not use.',
          );
        }
      }
      return object.messages.filter(({ type }) => type === LINK).map(({ data }) => linkOf(data));
    });
  }

  private async oldLinks(tree: number, heapAt: number): Promise<Link[]> {
    const heap = await this.bytes(heapAt, 32);
    const size = long(heap, 8);
    if (heap.getUint32(0, true) !== 0x50414548 || size > MOST_HEAP)
      throw damaged('a group has no names');
    const names = await this.bytes(long(heap, 24), size);
    const links: Link[] = [];
    const open = [tree];
    for (let blocks = 0; open.length > 0; blocks++) {
      if (blocks > MOST_BLOCKS || links.length > MOST_CHILDREN) throw damaged('a group has no end');
      const at = open.shift() as number;
      const node = await this.bytes(at, 24);
      const used = node.getUint16(6, true);
      if (node.getUint32(0, true) !== 0x45455254) throw damaged('a group has lost its list'); // TREE
      const entries = await this.bytes(at + 24, 16 * used);
      for (let entry = 0; entry < used; entry++) {
        const child = long(entries, 16 * entry + 8);
        if (node.getUint8(5) > 0) open.push(child);
        else links.push(...(await this.symbols(child, names)));
      }
    }
    return links;
  }

  private async symbols(address: number, names: DataView): Promise<Link[]> {
    const head = await this.bytes(address, 8);
    if (head.getUint32(0, true) !== 0x444f4e53) throw damaged('a group has lost its names'); // SNOD
    const count = head.getUint16(6, true);
    const entries = await this.bytes(address + 8, 40 * count);
    return Array.from({ length: count }, (_, index) => {
      const name = long(entries, 40 * index);
      if (name >= names.byteLength) throw damaged('a name is not where it should be');
      const soft = entries.getUint32(40 * index + 16, true) === 2;
      return {
        name: ascii(names, name, names.byteLength - name),
        address: soft ? null : long(entries, 40 * index + 8),
      };
    });
  }

  private dataset(messages: Message[]): Dataset {
    const find = (type: number) => messages.find((message) => message.type === type)?.data;
    const [space, kind, layout] = [DATASPACE, DATATYPE, LAYOUT].map(find) as [
      DataView,
      DataView,
      DataView,
    ];
    return datasetOf(space, kind, layout, find(FILTERS), this.source.size);
  }

  /** Attributes that are texts; others are left out. */
  async texts(object: Hdf5Object): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const { type, data } of object.messages) {
      if (type !== ATTRIBUTE) continue;
      const known = await guarded(() => this.textAttribute(data));
      if (known) found.set(known.name, known.text);
    }
    return found;
  }

  private async textAttribute(data: DataView): Promise<{ name: string; text: string } | null> {
    const version = data.getUint8(0);
    const [nameSize, typeSize, spaceSize] = [2, 4, 6].map((at) => data.getUint16(at, true)) as [
      number,
      number,
      number,
    ];
    const padded = (size: number) => (version === 1 ? Math.ceil(size / 8) * 8 : size);
    const at = version === 3 ? 9 : 8;
    const name = ascii(data, at, nameSize);
    const typeAt = at + padded(nameSize);
    const spaceAt = typeAt + padded(typeSize);
    const valueAt = spaceAt + padded(spaceSize);
    const shape = shapeOf(new DataView(data.buffer, data.byteOffset + spaceAt, spaceSize));
    const kind = data.getUint8(typeAt) & 15;
    if (shape.length > 0) return null;
    if (kind === 3) return { name, text: ascii(data, valueAt, data.getUint32(typeAt + 4, true)) };
    if (kind !== 9 || (data.getUint8(typeAt + 1) & 15) !== 1) return null;
    const length = data.getUint32(valueAt, true);
    return {
      name,
      text: await this.heapText(
        long(data, valueAt + 4),
        data.getUint32(valueAt + 12, true),
        length,
      ),
    };
  }

  /** A text of any length, out of a collection of them. */
  private async heapText(address: number, index: number, length: number): Promise<string> {
    if (length > MOST_TEXT)
      throw new FileError('The file holds a text of %1 MB: too long.', length >> 20);
    const head = await this.bytes(address, 16);
    if (head.getUint32(0, true) !== 0x4c4f4347) throw damaged('a text is not where it should be'); // GCOL
    const size = long(head, 8);
    for (let at = 16, steps = 0; at + 16 <= size && steps < MOST_CHILDREN; steps++) {
      const entry = await this.bytes(address + at, 16);
      const bytes = long(entry, 8);
      if (entry.getUint16(0, true) === 0) break;
      if (entry.getUint16(0, true) === index) {
        const text = await this.bytes(address + at + 16, Math.min(bytes, length));
        return new TextDecoder().decode(text);
      }
      at += 16 + Math.ceil(bytes / 8) * 8;
    }
    throw damaged('a text is not where it should be');
  }
}

/** What reads behind the end of a block has been led there by the file. */
async function guarded<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof RangeError ? damaged('something is longer than its place') : error;
  }
}

function linkOf(data: DataView): Link {
  const flags = data.getUint8(1);
  let at = 2;
  const kind = flags & 8 ? data.getUint8(at++) : 0;
  at += (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0);
  const wide = 1 << (flags & 3);
  const length =
    wide === 1
      ? data.getUint8(at)
      : wide === 2
        ? data.getUint16(at, true)
        : data.getUint32(at, true);
  at += wide;
  const name = ascii(data, at, length);
  return { name, address: kind === 0 ? long(data, at + length) : null };
}
