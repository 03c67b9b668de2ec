import type { StoreChange } from './store.js';
import { compacted } from './store-errors.js';

/** The changes of one revision, in the order in which they were made. */
export interface Commit {
  readonly revision: bigint;
  readonly changes: readonly StoreChange[];
}

/**
 * The last commits of a memory store, one per revision without a hole, so that a watcher reads on from where it is
 * instead of owning a buffer. Beyond `limit` the oldest are forgotten.
 */
export class MemoryHistory {
  private commits: Commit[] = [];
  /** How many of `commits`, at its front, are forgotten but not yet cut off. */
  private forgotten = 0;
  private readonly wakers = new Set<() => void>();
  private last: bigint;

  constructor(
    private readonly initial: bigint,
    private readonly limit: number,
  ) {
    this.last = initial;
  }

  /** The last revision. */
  get revision(): bigint {
    return this.last;
  }

  append(changes: readonly StoreChange[]): bigint {
    this.last += 1n;
    this.commits.push({ revision: this.last, changes });
    if (this.commits.length - this.forgotten > this.limit) this.forget(1);
    this.wake();
    return this.last;
  }

  /** Forgets every commit up to and with `revision`. */
  compact(revision: bigint): void {
    if (revision > this.last) throw new RangeError(`revision ${revision} is in the future`);
    const oldest = this.last - BigInt(this.commits.length - this.forgotten) + 1n;
    if (revision < oldest) return;
    this.forget(Number(revision - oldest + 1n));
    this.wake();
  }

  /** The commit after `revision` (0: the first there ever was); undefined when there is none yet. @throws TroupeError OUT_OF_RANGE / COMPACTED */
  after(revision: bigint): Commit | undefined {
    if (revision > this.last) throw compacted('the store never had this revision; list again');
    const index = this.commits.length - Number(this.last - (revision === 0n ? this.initial : revision));
    if (index < this.forgotten) throw compacted();
    return this.commits[index];
  }

  /** Calls back once, at the next change of what `after` gives. Returns how to call that off. */
  onChange(callback: () => void): () => void {
    this.wakers.add(callback);
    return () => this.wakers.delete(callback);
  }

  private forget(count: number): void {
    this.forgotten += count;
    if (this.forgotten < this.limit) return;
    this.commits = this.commits.slice(this.forgotten);
    this.forgotten = 0;
  }

  private wake(): void {
    const callbacks = [...this.wakers];
    this.wakers.clear();
    for (const callback of callbacks) callback();
  }
}
