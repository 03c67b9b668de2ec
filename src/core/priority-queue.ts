import { PRIORITIES, PRIORITY_RANKS, type Priority } from './priority.js';

/** An item's place in a queue, until it leaves. */
export interface Place<T> {
  readonly item: T;
  readonly rank: number;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}

/** The most urgent first, and first in, first out within a priority. Every operation is O(1), also leaving from the middle. */
export class PriorityQueue<T> {
  private readonly lines: readonly Line<T>[] = PRIORITIES.map(() => new Line<T>());
  private count = 0;

  get size(): number {
    return this.count;
  }

  push(item: T, priority: Priority): Place<T> {
    const place: Place<T> = { item, rank: PRIORITY_RANKS[priority], before: undefined, after: undefined };
    this.lines[place.rank]?.push(place);
    this.count += 1;
    return place;
  }

  /** Takes the oldest of the most urgent. */
  shift(): T | undefined {
    for (let rank = this.lines.length - 1; rank >= 0; rank--) {
      const place = this.lines[rank]?.oldest;
      if (place !== undefined) return this.remove(place);
    }
    return undefined;
  }

  /** Takes the youngest of the least urgent, if that is less urgent than `priority`. */
  popBelow(priority: Priority): T | undefined {
    for (let rank = 0; rank < PRIORITY_RANKS[priority]; rank++) {
      const place = this.lines[rank]?.youngest;
      if (place !== undefined) return this.remove(place);
    }
    return undefined;
  }

  /** Takes an item from wherever it stands. `place` is one that it has not left. */
  remove(place: Place<T>): T {
    this.lines[place.rank]?.remove(place);
    this.count -= 1;
    return place.item;
  }

  /** How many go before one that would come now. */
  ahead(priority: Priority): number {
    let ahead = 0;
    for (let rank = PRIORITY_RANKS[priority]; rank < this.lines.length; rank++) ahead += this.lines[rank]?.size ?? 0;
    return ahead;
  }

  /** Takes everything, in its order. */
  clear(): T[] {
    const items: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }
}

/** A list that is linked both ways. */
class Line<T> {
  oldest: Place<T> | undefined;
  youngest: Place<T> | undefined;
  size = 0;

  push(place: Place<T>): void {
    place.before = this.youngest;
    if (this.youngest === undefined) this.oldest = place;
    else this.youngest.after = place;
    this.youngest = place;
    this.size += 1;
  }

  remove(place: Place<T>): void {
    const { before, after } = place;
    if (before === undefined) this.oldest = after;
    else before.after = after;
    if (after === undefined) this.youngest = before;
    else after.before = before;
    place.before = undefined;
    place.after = undefined;
    this.size -= 1;
  }
}
