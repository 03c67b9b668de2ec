/**
 * What the control plane needs of a consistent key-value store. Keys are strings, values bytes; every change gets the
 * next `revision` of the whole store. Both implementations pass the same contract suite (`test/contract/store.ts`).
 *
 * Errors of every call: UNAVAILABLE / STORE_UNAVAILABLE with `retryAfterMs` (no answer: a write may or may not have
 * happened), RESOURCE_EXHAUSTED / STORE_FULL, UNAUTHENTICATED or PERMISSION_DENIED / STORE_AUTH, INVALID_ARGUMENT (an empty
 * key, or beyond the bounds of `limits.ts`), and when `signal` aborts its reason, or CANCELLED (a write may have happened).
 */
export interface Store {
  /** The entry, linearizable; undefined when there is none. */
  get(key: string, signal?: AbortSignal): Promise<StoreEntry | undefined>;
  /** All entries whose keys start with `prefix`, by key, and the one revision at which that was so. Linearizable. */
  list(prefix: string, signal?: AbortSignal): Promise<{ readonly entries: readonly StoreEntry[]; readonly revision: bigint }>;
  /**
   * Does all of `writes` (1 to 128, no key twice, at most 1.5 MB together) if all of `conditions` (at most 128) hold, else none.
   * @throws NOT_FOUND / LEASE_NOT_FOUND when a put names a lease that is gone.
   */
  txn(conditions: readonly Condition[], writes: readonly Write[], signal?: AbortSignal): Promise<TxnResult>;
  /**
   * Every change below `prefix` after `afterRevision`, in order and without a gap, through lost connections, until `signal`
   * aborts (then it ends without an error). All changes of one revision come together. Revision 0 is before the first change.
   * @throws OUT_OF_RANGE / COMPACTED when what follows `afterRevision` is no longer there, or the store has never had that
   * revision (it began anew, or was restored from a backup): list again.
   */
  watch(prefix: string, options: { readonly afterRevision: bigint; readonly signal: AbortSignal }): AsyncIterable<WatchEvent>;
  /** Bounded liveness that keys can hang on. */
  readonly leases: Leases;
  /** Gives connections back; calls under way fail with UNAVAILABLE. */
  close(): Promise<void>;
}

export interface Leases {
  /** A new lease. `ttlSeconds` is granted as asked or longer. */
  grant(ttlSeconds: number, signal?: AbortSignal): Promise<{ readonly leaseId: bigint; readonly ttlSeconds: number }>;
  /** Starts the lease's life anew and gives its length in seconds. @throws NOT_FOUND / LEASE_NOT_FOUND. */
  renew(leaseId: bigint, signal?: AbortSignal): Promise<number>;
  /** Ends the lease and removes its keys. A lease that is gone already is no error. Gives the revision after. */
  revoke(leaseId: bigint, signal?: AbortSignal): Promise<bigint>;
  /** How long the lease lives unless renewed, and the life it was granted; undefined when it is gone. */
  timeToLive(
    leaseId: bigint,
    signal?: AbortSignal,
  ): Promise<{ readonly remainingSeconds: number; readonly grantedSeconds: number } | undefined>;
}

export interface StoreEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the put that made the key exist. */
  readonly createRevision: bigint;
  /** Revision of the last put. */
  readonly modRevision: bigint;
  /** The lease that the key hangs on; 0n when none. */
  readonly leaseId: bigint;
}

/** Holds when the key's last change has this revision; 0n: when the key is not there. */
export interface Condition {
  readonly key: string;
  readonly modRevision: bigint;
}

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly leaseId: bigint }
  | { readonly kind: 'delete'; readonly key: string };

/** `applied` false: a condition did not hold and nothing was written. */
export interface TxnResult {
  readonly applied: boolean;
  readonly revision: bigint;
}

export type WatchEvent =
  /** All changes of one revision. */
  | { readonly kind: 'changes'; readonly revision: bigint; readonly changes: readonly StoreChange[] }
  /**
   * The store answered on this watch just now: what was delivered is up to date. About each second while the store is there, and
   * first within about 2 s of catching up.
   */
  | { readonly kind: 'alive' };

export type StoreChange =
  | { readonly kind: 'put'; readonly entry: StoreEntry }
  | { readonly kind: 'delete'; readonly key: string };
