import type { IKeyValue } from 'etcd3';
import type { StoreEntry } from './store.js';

/** etcd's `range_end` for "every key from here on". */
const UNBOUNDED = Buffer.from([0]);

export function encodeKey(key: string): Buffer {
  return Buffer.from(key, 'utf8');
}

/** The range of all keys that start with `prefix`: [prefix, prefix + 1), the successor by bytes. */
export function prefixRange(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
  const key = encodeKey(prefix);
  // UTF-8 has no byte 0xff, so the last byte can always be raised.
  const end = Buffer.from(key);
  const last = end.length - 1;
  if (last < 0) return { key: UNBOUNDED, range_end: UNBOUNDED };
  end[last] = (end[last] ?? 0) + 1;
  return { key, range_end: end };
}

/** The first key that comes after `key` in the order of bytes. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, UNBOUNDED]);
}

/** Copies the value: as it came it is a view that would keep the whole answer in memory. */
export function decodeEntry(kv: IKeyValue): StoreEntry {
  return {
    key: kv.key.toString('utf8'),
    value: new Uint8Array(kv.value),
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
    leaseId: BigInt(kv.lease),
  };
}
