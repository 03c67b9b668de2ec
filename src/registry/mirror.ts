import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError, messageOf } from '../core/errors.js';
import { instanceKeyText } from '../core/instance.js';
import type { Random } from '../core/random.js';
import { Catalog, type CatalogChange } from '../discovery/catalog.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Keys } from '../store/keys.js';
import type { Store, StoreChange } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import { readStored, type StoredInstance } from './stored-instance.js';

export type StoredChange = CatalogChange<StoredInstance>;

export interface MirrorDeps {
  readonly store: Store;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const BACKOFF = { initialMs: 50, capMs: 1_000 };

/** What one registry process knows of the store, by its one watch: all reads and all its watchers live on it. */
export class Mirror {
  private current = Catalog.empty<StoredInstance>();
  private inStepAtMs = Number.NEGATIVE_INFINITY;
  private readonly listeners = new Set<(changes: readonly StoredChange[], revision: bigint) => void>();
  private waiting: { readonly revision: bigint; readonly resolve: () => void }[] = [];

  /** Resolves when the store has been read for the first time. */
  readonly firstRead: Promise<void>;
  private onFirstRead: () => void = () => undefined;

  constructor(private readonly deps: MirrorDeps) {
    this.firstRead = new Promise((resolve) => {
      this.onFirstRead = resolve;
    });
  }

  get catalog(): Catalog<StoredInstance> {
    return this.current;
  }

  /** Whether it has read the store at all. */
  get isReady(): boolean {
    return this.inStepAtMs !== Number.NEGATIVE_INFINITY;
  }

  /** Since it was last known to be in step with the store. */
  ageMs(): number {
    return this.deps.clock.monotonicMs() - this.inStepAtMs;
  }

  /** Calls back with every change, in order. */
  onChange(listener: (changes: readonly StoredChange[], revision: bigint) => void): void {
    this.listeners.add(listener);
  }

  /** Resolves when changes up to `revision` have been seen, or after `timeoutMs`. */
  async reached(revision: bigint, timeoutMs: number): Promise<void> {
    if (this.current.revision >= revision) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        cancel();
        resolve();
      };
      const waiter = { revision, resolve: end };
      const cancel = this.deps.clock.after(timeoutMs, () => {
        this.waiting = this.waiting.filter((each) => each !== waiter);
        end();
      });
      this.waiting.push(waiter);
    });
  }

  /** Follows the store until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let isListed = false;
    while (!signal.aborted) {
      try {
        if (!isListed) await this.list(signal);
        isListed = true;
        await this.follow(signal, () => {
          failures = 0;
        });
      } catch (error) {
        if (signal.aborted) return;
        if (isTroupeError(error, 'COMPACTED')) {
          this.deps.logger.warn('the watch fell behind the compaction of the store; listing anew');
          isListed = false;
          continue;
        }
        failures += 1;
        if (failures === 1)
          this.deps.logger.warn('the store is not reached; serving what is known', { reason: messageOf(error) });
        await delay(backoffMs(failures, BACKOFF, this.deps.random), signal, this.deps.clock).catch(() => undefined);
      }
    }
  }

  private async follow(signal: AbortSignal, onEvent: () => void): Promise<void> {
    const { store, keys } = this.deps;
    for await (const event of store.watch(keys.instances(), { afterRevision: this.current.revision, signal })) {
      onEvent();
      this.inStepAtMs = this.deps.clock.monotonicMs();
      if (event.kind === 'changes')
        this.apply(
          event.changes.flatMap((change) => this.toChange(change)),
          event.revision,
        );
    }
  }

  /** Reads everything: what is not there any more is a removal for those who watch. */
  private async list(signal: AbortSignal): Promise<void> {
    const { store, keys } = this.deps;
    const { entries, revision } = await store.list(keys.instances(), signal);
    const puts = entries.flatMap((entry) => this.toChange({ kind: 'put', entry }));
    const there = new Set(puts.flatMap((change) => (change.kind === 'put' ? instanceKeyText(change.known.instance) : [])));
    const gone = [...this.current.all()]
      .filter(({ instance }) => !there.has(instanceKeyText(instance)))
      .map(({ instance }) => ({ kind: 'removed', key: instance }) as const);
    const changed = puts.filter(
      (change) =>
        change.kind !== 'put' || this.current.get(change.known.instance)?.instance.revision !== change.known.instance.revision,
    );
    this.inStepAtMs = this.deps.clock.monotonicMs();
    this.apply([...gone, ...changed], revision);
    this.onFirstRead();
  }

  private apply(changes: readonly StoredChange[], revision: bigint): void {
    this.current = this.current.with(changes, revision);
    for (const listener of this.listeners) listener(changes, revision);
    const reached = this.waiting.filter((waiter) => waiter.revision <= revision);
    if (reached.length === 0) return;
    this.waiting = this.waiting.filter((waiter) => waiter.revision > revision);
    for (const { resolve } of reached) resolve();
  }

  /** Nothing for keys and values that are not ours: they are logged, and never stop the watch. */
  private toChange(change: StoreChange): StoredChange[] {
    const key = change.kind === 'put' ? change.entry.key : change.key;
    const parsed = this.deps.keys.parseInstance(key);
    if (parsed === undefined) return [];
    if (change.kind === 'delete') return [{ kind: 'removed', key: parsed }];
    try {
      return [{ kind: 'put', known: readStored(change.entry) }];
    } catch (error) {
      this.deps.logger.error('a stored instance cannot be read', { key, error });
      return [];
    }
  }
}
