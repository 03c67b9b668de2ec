import type { Load } from './load.js';

/**
 * The work of all candidates together, in constant time: the sum of what was last seen of each, of whom the next one is looked at again whenever it is
 * asked for. So it is at most as many picks old as there are candidates, and off by less than one task for each.
 */
export class SampledWork {
  private readonly seen: Float64Array;
  private sum = 0;
  private next = 0;

  constructor(
    private readonly loads: readonly Load[],
    nowMs: number,
  ) {
    this.seen = new Float64Array(loads.length);
    for (let i = 0; i < loads.length; i++) this.total(nowMs);
  }

  total(nowMs: number): number {
    const index = this.next;
    const work = this.loads[index]?.work(nowMs) ?? 0;
    this.sum += work - (this.seen[index] ?? 0);
    this.seen[index] = work;
    this.next = index + 1 < this.loads.length ? index + 1 : 0;
    return this.sum;
  }
}
