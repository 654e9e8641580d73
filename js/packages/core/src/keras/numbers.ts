/** How HDF5 writes numbers: their kinds, and what their bytes mean. */

import { FileError } from './archive';

export interface NumberType {
  kind: 'float' | 'int' | 'uint' | 'bfloat16' | 'text' | 'other';
  bytes: number;
  little: boolean;
}

export function typeOf(data: DataView): NumberType {
  const kind = data.getUint8(0) & 15;
  const bytes = data.getUint32(4, true);
  const little = (data.getUint8(1) & 1) === 0;
  if (kind === 0 && [1, 2, 4, 8].includes(bytes)) {
    return { kind: data.getUint8(1) & 8 ? 'int' : 'uint', bytes, little };
  }
  if (kind === 1 && [2, 4, 8].includes(bytes)) {
    // Two bytes with an exponent of eight bits are the upper half of a float32.
    return { kind: bytes === 2 && data.getUint8(13) === 8 ? 'bfloat16' : 'float', bytes, little };
  }
  if (kind === 8 && bytes === 1) return { kind: 'uint', bytes, little };
  return { kind: kind === 3 || kind === 9 ? 'text' : 'other', bytes, little };
}

export function decode(data: DataView, type: NumberType, count: number): Float64Array {
  const { kind, bytes, little } = type;
  const found = new Float64Array(count);
  const readers: Record<string, (at: number) => number> = {
    float2: (at: number) => half(data.getUint16(at, little)),
    float4: (at: number) => data.getFloat32(at, little),
    float8: (at: number) => data.getFloat64(at, little),
    bfloat162: (at: number) => upper(data.getUint16(at, little)),
    int1: (at: number) => data.getInt8(at),
    int2: (at: number) => data.getInt16(at, little),
    int4: (at: number) => data.getInt32(at, little),
    int8: (at: number) => Number(data.getBigInt64(at, little)),
    uint1: (at: number) => data.getUint8(at),
    uint2: (at: number) => data.getUint16(at, little),
    uint4: (at: number) => data.getUint32(at, little),
    uint8: (at: number) => Number(data.getBigUint64(at, little)),
  };
  const read = readers[`${kind}${bytes}`];
  if (!read) throw new FileError('These numbers cannot be read: %1.', 'they are no numbers');
  for (let index = 0; index < count; index++) found[index] = read(index * bytes);
  return found;
}

function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction > 0
          ? Number.NaN
          : Number.POSITIVE_INFINITY
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

const SHARED = new DataView(new ArrayBuffer(4));

function upper(bits: number): number {
  SHARED.setUint16(0, bits);
  SHARED.setUint16(2, 0);
  return SHARED.getFloat32(0);
}
