import type { Clock } from '../core/clock.js';
import { deadlineExceeded, type TroupeError } from '../core/errors.js';

/** Something that an answer is waited for. */
export interface Pending {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** Its time is over, or it is given up: it is no longer pending. */
  expire(error: TroupeError): void;
}

/** Deadlines are kept to within this. */
const SWEEP_MS = 20;
const SLOT_BITS = 20;
const SLOTS = 2 ** SLOT_BITS;
/** So that ids stay below 2^53. */
const MAX_USES = 2 ** 32 - 1;
const MAX_IDLE_SLOTS = 4_096;

/**
 * What answers are waited for, by correlation id: a place in an array and a count of its uses, so that a late answer is never taken for that of another
 * message. One timer for all deadlines, and none while nothing is pending. At most 1,048,576 at once.
 */
export class PendingMessages<T extends Pending> {
  private readonly slots: (T | undefined)[] = [];
  private readonly uses: number[] = [];
  private readonly free: number[] = [];
  private count = 0;
  private cancelSweep: (() => void) | undefined;

  /** `firstUse`: where the counts of uses begin, so that answers to an earlier life of the process fit none of this one. */
  constructor(
    private readonly clock: Clock,
    private firstUse = 0,
  ) {}

  get size(): number {
    return this.count;
  }

  /** Gives its correlation id, from 1; 0 where there is no room. */
  add(pending: T): number {
    let slot = this.free.pop();
    if (slot === undefined) {
      if (this.slots.length === SLOTS - 1) return 0;
      slot = this.slots.length;
      this.slots.push(undefined);
      this.uses.push(this.firstUse);
    }
    this.slots[slot] = pending;
    this.count += 1;
    if (this.cancelSweep === undefined) this.sweepLater();
    return (this.uses[slot] as number) * SLOTS + slot + 1;
  }

  get(id: number): T | undefined {
    const slot = (id - 1) % SLOTS;
    return this.uses[slot] === Math.floor((id - 1) / SLOTS) ? this.slots[slot] : undefined;
  }

  /** It is no longer pending. */
  take(id: number): T | undefined {
    const slot = (id - 1) % SLOTS;
    const use = Math.floor((id - 1) / SLOTS);
    if (this.uses[slot] !== use) return undefined;
    const pending = this.slots[slot];
    if (pending === undefined) return undefined;
    this.slots[slot] = undefined;
    this.uses[slot] = use === MAX_USES ? 0 : use + 1;
    this.free.push(slot);
    this.count -= 1;
    if (this.count === 0 && this.slots.length > MAX_IDLE_SLOTS) this.shrink();
    return pending;
  }

  /** Takes all that `which` is true of. */
  takeAll(which: (pending: T) => boolean): T[] {
    const taken: T[] = [];
    const { length } = this.slots;
    for (let slot = 0; slot < length; slot++) {
      const pending = this.slots[slot];
      if (pending === undefined || !which(pending)) continue;
      this.take((this.uses[slot] as number) * SLOTS + slot + 1);
      taken.push(pending);
    }
    return taken;
  }

  close(error: TroupeError): void {
    this.cancelSweep?.();
    this.cancelSweep = undefined;
    for (const pending of this.takeAll(() => true)) pending.expire(error);
  }

  /** After a burst: what is looked at every few milliseconds must not stay as long as that was. */
  private shrink(): void {
    let most = 0;
    for (const use of this.uses) most = Math.max(most, use);
    this.firstUse = most >= MAX_USES ? 0 : most;
    this.slots.length = 0;
    this.uses.length = 0;
    this.free.length = 0;
  }

  private sweepLater(): void {
    this.cancelSweep = this.clock.after(SWEEP_MS, () => {
      this.cancelSweep = undefined;
      const now = this.clock.now();
      for (const pending of this.takeAll(({ deadlineMs }) => deadlineMs <= now)) pending.expire(deadlineExceeded());
      if (this.count > 0) this.sweepLater();
    });
  }
}
