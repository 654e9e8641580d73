/** Model files for tests, made without Keras: zips and configurations, good and hostile. */

import { deflateRawSync } from 'node:zlib';
import type { ByteSource } from './archive';

export function sourceOf(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (start, end) => bytes.slice(start, end) };
}

/** A zip of one entry; what its directory claims may differ from what it holds. */
export function zip(name: string, content: string, claims: { size?: number } = {}): Uint8Array {
  const packed = deflateRawSync(Buffer.from(content));
  const label = Buffer.from(name);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 8);
  local.writeUInt16LE(label.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt32LE(claims.size ?? content.length, 24);
  entry.writeUInt16LE(label.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + label.length, 12);
  end.writeUInt32LE(30 + label.length + packed.length, 16);
  return new Uint8Array(Buffer.concat([local, label, packed, entry, label, end]));
}

export const tensor = (layer: string, shape: (number | null)[]) => ({
  class_name: '__keras_tensor__',
  config: { shape, dtype: 'float32', keras_history: [layer, 0, 0] },
});
export const layer = (name: string, type: string, config: object, reads: object[] = []) => ({
  class_name: type,
  name,
  config: { name, ...config },
  inbound_nodes: reads.length > 0 ? [{ args: reads, kwargs: {} }] : [],
});
export const model = (layers: object[], more: object = {}) =>
  JSON.stringify({
    class_name: 'Functional',
    config: { name: 'net', layers, input_layers: ['x', 0, 0], output_layers: ['y', 0, 0], ...more },
  });
export const INPUT = layer('x', 'InputLayer', { batch_shape: [null, 4] });
