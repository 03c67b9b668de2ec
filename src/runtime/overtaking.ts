import { PRIORITIES, PRIORITY_RANKS, type Priority } from '../core/priority.js';

/** Weight of the task that was begun last: the last few dozen count. */
const SMOOTHING = 1 / 64;
/** So that there is always a wait that can be told. */
const MOST = 0.99;

/**
 * What part of the tasks that an agent begins is more urgent than others: those that come later and go first. While some wait, the line of a
 * priority moves only as fast as that part leaves room (the waits of priority queues; Cobham, "Priority Assignment in Waiting Line
 * Problems", 1954).
 */
export class Overtaking {
  /** By rank: the share of what was begun of late that ranks higher. */
  private readonly shares: number[] = PRIORITIES.map(() => 0);

  /** A task was begun while others went on waiting, or while none did: then it has overtaken nobody. */
  begun(priority: Priority, othersWait: boolean): void {
    const begun = othersWait ? PRIORITY_RANKS[priority] : 0;
    for (const [rank, share] of this.shares.entries()) this.shares[rank] = share + ((begun > rank ? 1 : 0) - share) * SMOOTHING;
  }

  /** The part that overtakes tasks of a priority, 0 to 0.99. */
  of(priority: Priority): number {
    return Math.min(MOST, this.shares[PRIORITY_RANKS[priority]] ?? 0);
  }
}
