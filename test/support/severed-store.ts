import { abortError } from '../../src/core/errors.js';
import type { Condition, Leases, Store, StoreEntry, TxnResult, WatchEvent, Write } from '../../src/store/store.js';
import { storeUnavailable } from '../../src/store/store-errors.js';

/**
 * One user's way to a store that others use too. While it is cut, calls hang until their signal aborts or the way is mended, when
 * they fail as those of a connection that is found dead; watches tell nothing. `close` leaves the store to the others.
 */
export class SeveredStore implements Store {
  private gap: { readonly mended: Promise<void>; readonly mend: () => void } | undefined;

  constructor(private readonly inner: Store) {}

  cut(): void {
    let mend: () => void = () => undefined;
    const mended = new Promise<void>((resolve) => {
      mend = resolve;
    });
    this.gap = { mended, mend };
  }

  mend(): void {
    this.gap?.mend();
    this.gap = undefined;
  }

  get(key: string, signal?: AbortSignal): Promise<StoreEntry | undefined> {
    return this.pass(() => this.inner.get(key, signal), signal);
  }

  list(prefix: string, signal?: AbortSignal) {
    return this.pass(() => this.inner.list(prefix, signal), signal);
  }

  txn(conditions: readonly Condition[], writes: readonly Write[], signal?: AbortSignal): Promise<TxnResult> {
    return this.pass(() => this.inner.txn(conditions, writes, signal), signal);
  }

  async *watch(
    prefix: string,
    options: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncGenerator<WatchEvent, void, undefined> {
    for await (const event of this.inner.watch(prefix, options)) {
      if (this.gap !== undefined) await this.gap.mended;
      yield event;
    }
  }

  get leases(): Leases {
    const { leases } = this.inner;
    return {
      grant: (ttlSeconds, signal) => this.pass(() => leases.grant(ttlSeconds, signal), signal),
      renew: (leaseId, signal) => this.pass(() => leases.renew(leaseId, signal), signal),
      revoke: (leaseId, signal) => this.pass(() => leases.revoke(leaseId, signal), signal),
      timeToLive: (leaseId, signal) => this.pass(() => leases.timeToLive(leaseId, signal), signal),
    };
  }

  async close(): Promise<void> {
    this.mend();
  }

  private async pass<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { gap } = this;
    if (gap === undefined) return call();
    await new Promise<void>((resolve, reject) => {
      void gap.mended.then(resolve);
      if (signal?.aborted) reject(abortError(signal));
      signal?.addEventListener('abort', () => reject(abortError(signal)), { once: true });
    });
    throw storeUnavailable('the connection was found dead');
  }
}
