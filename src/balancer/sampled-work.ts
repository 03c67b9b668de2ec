import type { Clock } from '../core/clock.js';
import type { Load } from './load.js';

/** Of many candidates so many are looked at together, once in as many picks: the clock is read once, and the processor waits for all of them at once. */
const BLOCK = 8;
const MANY = 64;

/**
 * The work of all candidates together, in constant time: the sum of what was last seen of each. With each pick the next one is looked at again; of
 * many, the next eight with each eighth pick. So it is hardly more picks old than there are candidates, and off by less than one task for each.
 */
export class SampledWork {
  private readonly seen: Float64Array;
  private readonly block: number;
  private picks = 0;
  private atMs = 0;
  private sum = 0;
  private next = 0;

  constructor(
    private readonly loads: readonly Load[],
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.seen = new Float64Array(loads.length);
    this.block = loads.length < MANY ? 1 : BLOCK;
    this.look(loads.length);
  }

  /** To be asked once for each pick. */
  total(): number {
    this.picks += 1;
    if (this.picks < this.block) return this.sum;
    this.picks = 0;
    this.look(this.block);
    return this.sum;
  }

  /** When it last looked, which is less than eight picks ago; in whole milliseconds. */
  get lookedAtMs(): number {
    return this.atMs;
  }

  private look(count: number): void {
    const nowMs = this.clock.monotonicMs();
    this.atMs = Math.floor(nowMs);
    for (let i = 0; i < count; i++) {
      const index = this.next;
      const work = this.loads[index]?.work(nowMs) ?? 0;
      this.sum += work - (this.seen[index] ?? 0);
      this.seen[index] = work;
      this.next = index + 1 < this.loads.length ? index + 1 : 0;
    }
  }
}
