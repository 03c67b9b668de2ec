import type { Clock } from '../core/clock.js';
import { abortError } from '../core/errors.js';
import { type Random, systemRandom } from '../core/random.js';
import { compareKeys } from './key-order.js';
import { checkKey, checkTtl, checkTxn } from './limits.js';
import { MemoryHistory } from './memory-history.js';
import { MemoryLeases } from './memory-leases.js';
import type { Condition, Leases, Store, StoreChange, StoreEntry, TxnResult, WatchEvent, Write } from './store.js';
import { leaseNotFound, storeClosed } from './store-errors.js';

export interface MemoryStoreOptions {
  /** How many revisions a watch can resume over; default 10,000. */
  readonly historyLimit?: number | undefined;
  /**
   * The revision before the first change; default 1. A process that starts anew gives one beyond those of its earlier
   * life (such as the time in milliseconds), so that who resumes from then is told to list again.
   */
  readonly initialRevision?: bigint | undefined;
}

const DEFAULT_HISTORY_LIMIT = 10_000;
const ALIVE_INTERVAL_MS = 1_000;

/** A store that lives and dies with its process: for `troupe dev` and for tests. `list` costs O(keys). */
export class MemoryStore implements Store {
  readonly leases: Leases;
  private readonly clock: Clock;
  private readonly entries = new Map<string, StoreEntry>();
  private readonly history: MemoryHistory;
  private readonly leaseTable: MemoryLeases;
  private readonly closing = new AbortController();

  constructor(dependencies: { readonly clock: Clock; readonly random?: Random }, options: MemoryStoreOptions = {}) {
    this.clock = dependencies.clock;
    this.history = new MemoryHistory(options.initialRevision ?? 1n, Math.max(options.historyLimit ?? DEFAULT_HISTORY_LIMIT, 1));
    this.leaseTable = new MemoryLeases(this.clock, dependencies.random ?? systemRandom, (keys) => this.removeKeys(keys));
    this.leases = this.makeLeases();
  }

  async get(key: string, signal?: AbortSignal): Promise<StoreEntry | undefined> {
    checkKey(key);
    this.enter(signal);
    return this.entries.get(key);
  }

  async list(prefix: string, signal?: AbortSignal): Promise<{ entries: readonly StoreEntry[]; revision: bigint }> {
    this.enter(signal);
    const entries: StoreEntry[] = [];
    for (const entry of this.entries.values()) if (entry.key.startsWith(prefix)) entries.push(entry);
    entries.sort((a, b) => compareKeys(a.key, b.key));
    return { entries, revision: this.history.revision };
  }

  async txn(conditions: readonly Condition[], writes: readonly Write[], signal?: AbortSignal): Promise<TxnResult> {
    checkTxn(conditions, writes);
    this.enter(signal);
    const holds = conditions.every(({ key, modRevision }) => (this.entries.get(key)?.modRevision ?? 0n) === modRevision);
    if (!holds) return { applied: false, revision: this.history.revision };
    for (const write of writes) {
      if (write.kind === 'put' && write.leaseId !== 0n && !this.leaseTable.has(write.leaseId)) throw leaseNotFound(write.leaseId);
    }
    return { applied: true, revision: this.apply(writes) };
  }

  async *watch(
    prefix: string,
    { afterRevision, signal }: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncGenerator<WatchEvent, void, undefined> {
    let position = afterRevision;
    let aliveAtMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      this.enter();
      const commit = this.history.after(position);
      if (commit !== undefined) {
        position = commit.revision;
        const changes = commit.changes.filter((change) => keyOf(change).startsWith(prefix));
        if (changes.length > 0) yield { kind: 'changes', revision: commit.revision, changes };
      } else if (this.clock.monotonicMs() - aliveAtMs >= ALIVE_INTERVAL_MS) {
        aliveAtMs = this.clock.monotonicMs();
        yield { kind: 'alive' };
      } else {
        await this.changeOr(aliveAtMs + ALIVE_INTERVAL_MS - this.clock.monotonicMs(), signal);
      }
    }
  }

  /** Forgets the history up to and with `revision` (the current one unless given), as etcd's compaction does. */
  compact(revision: bigint = this.history.revision): void {
    this.history.compact(revision);
  }

  async close(): Promise<void> {
    this.leaseTable.close();
    this.closing.abort();
  }

  private makeLeases(): Leases {
    const table = this.leaseTable;
    return {
      grant: async (ttlSeconds, signal) => {
        const granted = checkTtl(ttlSeconds);
        this.enter(signal);
        return { leaseId: table.grant(granted), ttlSeconds: granted };
      },
      renew: async (leaseId, signal) => {
        this.enter(signal);
        return table.renew(leaseId);
      },
      revoke: async (leaseId, signal) => {
        this.enter(signal);
        table.revoke(leaseId);
        return this.history.revision;
      },
      timeToLive: async (leaseId, signal) => {
        this.enter(signal);
        return table.timeToLive(leaseId);
      },
    };
  }

  /** What every call starts with. */
  private enter(signal?: AbortSignal): void {
    if (signal?.aborted) throw abortError(signal);
    if (this.closing.signal.aborted) throw storeClosed();
    this.leaseTable.expireDue();
  }

  private apply(writes: readonly Write[]): bigint {
    const revision = this.history.revision + 1n;
    const changes: StoreChange[] = [];
    for (const write of writes) {
      const before = this.entries.get(write.key);
      if (write.kind === 'delete') {
        if (before === undefined) continue;
        this.leaseTable.detach(before.leaseId, write.key);
        this.entries.delete(write.key);
        changes.push({ kind: 'delete', key: write.key });
      } else {
        const { key, leaseId } = write;
        const entry = {
          key,
          value: new Uint8Array(write.value),
          createRevision: before?.createRevision ?? revision,
          modRevision: revision,
          leaseId,
        };
        if (before !== undefined) this.leaseTable.detach(before.leaseId, key);
        this.leaseTable.attach(leaseId, key);
        this.entries.set(key, entry);
        changes.push({ kind: 'put', entry });
      }
    }
    return changes.length === 0 ? this.history.revision : this.history.append(changes);
  }

  private removeKeys(keys: readonly string[]): void {
    this.apply([...keys].sort(compareKeys).map((key) => ({ kind: 'delete', key })));
  }

  /** Resolves at the next change, after `timeoutMs`, or when `signal` or the store's end comes first. */
  private async changeOr(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const releases: (() => void)[] = [];
    await new Promise<void>((resolve) => {
      releases.push(this.clock.after(timeoutMs, resolve), this.history.onChange(resolve));
      for (const each of [signal, this.closing.signal]) {
        const onAbort = () => resolve();
        each.addEventListener('abort', onAbort, { once: true });
        releases.push(() => each.removeEventListener('abort', onAbort));
      }
    });
    for (const release of releases) release();
  }
}

function keyOf(change: StoreChange): string {
  return change.kind === 'put' ? change.entry.key : change.key;
}
