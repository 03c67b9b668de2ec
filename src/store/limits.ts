import { invalidArgument } from '../core/errors.js';
import type { Condition, Write } from './store.js';

/** etcd's own default bound (`--max-txn-ops`). */
export const MAX_TXN_WRITES = 128;
/** Keys and values of one transaction. etcd takes requests of 1.5 MiB with their framing (`--max-request-bytes`). */
export const MAX_TXN_BYTES = 1_500_000;
/** etcd's bound on a lease. */
const MAX_TTL_SECONDS = 9_000_000_000;

/** @throws TroupeError INVALID_ARGUMENT for the empty key, which etcd does not have. */
export function checkKey(key: string): void {
  if (key === '') throw invalidArgument('key', 'must not be empty');
}

/** What every store refuses alike, whatever its engine would take. @throws TroupeError INVALID_ARGUMENT */
export function checkTxn(conditions: readonly Condition[], writes: readonly Write[]): void {
  if (writes.length === 0 || writes.length > MAX_TXN_WRITES) {
    throw invalidArgument('writes', `must be 1 to ${MAX_TXN_WRITES}`);
  }
  if (conditions.length > MAX_TXN_WRITES) throw invalidArgument('conditions', `must be at most ${MAX_TXN_WRITES}`);
  for (const { key } of conditions) checkKey(key);
  const keys = new Set<string>();
  let bytes = 0;
  for (const write of writes) {
    checkKey(write.key);
    if (keys.has(write.key)) throw invalidArgument('writes', `must not name a key twice: ${write.key}`);
    keys.add(write.key);
    bytes += Buffer.byteLength(write.key) + (write.kind === 'put' ? write.value.byteLength : 0);
  }
  if (bytes > MAX_TXN_BYTES)
    throw invalidArgument('writes', `must be at most ${MAX_TXN_BYTES} bytes of keys and values together`);
}

/** Whole seconds, rounded up. @throws TroupeError INVALID_ARGUMENT */
export function checkTtl(ttlSeconds: number): number {
  if (!(ttlSeconds > 0 && ttlSeconds <= MAX_TTL_SECONDS)) {
    throw invalidArgument('ttlSeconds', `must be more than 0 and at most ${MAX_TTL_SECONDS}`);
  }
  return Math.ceil(ttlSeconds);
}
