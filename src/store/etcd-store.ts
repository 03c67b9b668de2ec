import type { IKeyValue, IRangeResponse } from 'etcd3';
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { Logger } from '../telemetry/logger.js';
import { EtcdConnection, type EtcdOptions } from './etcd-connection.js';
import { decodeEntry, encodeKey } from './etcd-encoding.js';
import { EtcdLeases } from './etcd-leases.js';
import { listPrefix } from './etcd-list.js';
import { watchPrefix } from './etcd-watch.js';
import { checkKey, checkTxn } from './limits.js';
import type { Condition, Leases, Store, StoreEntry, TxnResult, WatchEvent, Write } from './store.js';

export interface EtcdStoreDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A store in etcd (3.4 or newer), over etcd3's service clients. Connects on first use; `close` it. */
export class EtcdStore implements Store {
  readonly leases: Leases;
  private readonly connection: EtcdConnection;

  /** @throws TroupeError INVALID_ARGUMENT */
  constructor(
    private readonly dependencies: EtcdStoreDependencies,
    options: EtcdOptions,
  ) {
    this.connection = new EtcdConnection(dependencies.clock, options);
    this.leases = new EtcdLeases(this.connection, dependencies.clock, this.connection.requestTimeoutMs);
  }

  async get(key: string, signal?: AbortSignal): Promise<StoreEntry | undefined> {
    checkKey(key);
    const request = { key: encodeKey(key) };
    const { kvs } = await this.connection.read<IRangeResponse>(({ kv }, options) => kv.range(request, options), signal);
    const found: IKeyValue | undefined = kvs[0];
    return found === undefined ? undefined : decodeEntry(found);
  }

  list(prefix: string, signal?: AbortSignal): Promise<{ entries: readonly StoreEntry[]; revision: bigint }> {
    return listPrefix(this.connection, prefix, signal);
  }

  async txn(conditions: readonly Condition[], writes: readonly Write[], signal?: AbortSignal): Promise<TxnResult> {
    checkTxn(conditions, writes);
    const request = { compare: conditions.map(toCompare), success: writes.map(toRequest) };
    const { succeeded, header } = await this.connection.write(({ kv }, options) => kv.txn(request, options), signal);
    return { applied: succeeded, revision: BigInt(header.revision) };
  }

  watch(prefix: string, options: { readonly afterRevision: bigint; readonly signal: AbortSignal }): AsyncIterable<WatchEvent> {
    return watchPrefix({ ...this.dependencies, connection: this.connection }, prefix, options);
  }

  async close(): Promise<void> {
    this.connection.close();
  }
}

function toCompare({ key, modRevision }: Condition) {
  return { key: encodeKey(key), target: 'Mod', result: 'Equal', mod_revision: modRevision.toString() } as const;
}

function toRequest(write: Write) {
  const key = encodeKey(write.key);
  if (write.kind === 'delete') return { request_delete_range: { key } };
  return { request_put: { key, value: Buffer.from(write.value), lease: write.leaseId.toString() } };
}
