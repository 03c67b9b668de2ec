import { abortError, isTroupeError } from '../core/errors.js';
import type { EtcdConnection } from './etcd-connection.js';
import { decodeEntry, keyAfter, prefixRange } from './etcd-encoding.js';
import { isAnswerTooLarge } from './etcd-errors.js';
import type { StoreEntry } from './store.js';
import { storeUnavailable } from './store-errors.js';

/** 32 values of etcd's greatest size stay below the channel's receive limit. */
const FIRST_PAGE = 32;
const LARGEST_PAGE = 8_192;
const PAGE_BYTES = 1024 * 1024;
const MAX_RESTARTS = 3;

interface Listing {
  readonly entries: StoreEntry[];
  readonly revision: bigint;
}

/**
 * All entries below `prefix` at one revision, fetched page by page so that no answer meets a message limit. Starts again
 * when that revision is compacted meanwhile.
 */
export async function listPrefix(connection: EtcdConnection, prefix: string, signal?: AbortSignal): Promise<Listing> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await listOnce(connection, prefix, signal);
    } catch (error) {
      if (!isTroupeError(error, 'COMPACTED')) throw error;
      if (restarts === MAX_RESTARTS) throw storeUnavailable('etcd was compacted again and again during one listing', error);
    }
  }
}

async function listOnce(connection: EtcdConnection, prefix: string, signal: AbortSignal | undefined): Promise<Listing> {
  const entries: StoreEntry[] = [];
  const { key: first, range_end } = prefixRange(prefix);
  let key = first;
  let revision = '0';
  let limit = FIRST_PAGE;
  for (;;) {
    if (signal?.aborted) throw abortError(signal);
    try {
      const request = { key, range_end, limit, revision };
      const answer = await connection.read(({ kv }, options) => kv.range(request, options), signal);
      if (revision === '0') revision = answer.header.revision;
      let bytes = 0;
      for (const kv of answer.kvs) {
        entries.push(decodeEntry(kv));
        bytes += kv.key.length + kv.value.length;
      }
      const last = answer.kvs.at(-1);
      if (!answer.more || last === undefined) return { entries, revision: BigInt(revision) };
      key = keyAfter(last.key);
      limit = nextLimit(limit, bytes / answer.kvs.length);
    } catch (error) {
      if (limit === 1 || !isTroupeError(error) || !isAnswerTooLarge(error.cause)) throw error;
      limit = Math.ceil(limit / 4);
    }
  }
}

/** As many as fill a page by what entries measured so far, at most four times as many as before: they may grow. */
export function nextLimit(limit: number, bytesPerEntry: number): number {
  const fitting = Math.floor(PAGE_BYTES / Math.max(bytesPerEntry, 1));
  return Math.max(1, Math.min(fitting, limit * 4, LARGEST_PAGE));
}
