import type { Priority } from '../core/priority.js';
import { type Place, PriorityQueue } from '../core/priority-queue.js';

export interface MailboxLimits {
  /** Items that may wait. */
  readonly capacity: number;
  /** Items worked on at once; may change from one moment to the next. */
  readonly concurrency: { readonly limit: number };
}

/** What a mailbox takes: one item at most once, into one mailbox. */
export interface MailItem<T> {
  readonly priority: Priority;
  /** Kept by the mailbox: where the item waits; undefined when it does not. */
  place: Place<T> | undefined;
}

/**
 * Bounded: works on up to `concurrency` items at once, of those that wait on the most urgent first, in order of arrival within one
 * priority. When `capacity` wait, it makes room for an item by giving up the youngest of the least urgent below it.
 */
export class Mailbox<T extends MailItem<T>> {
  private readonly waiting = new PriorityQueue<T>();
  private running = 0;
  private idle: (() => void)[] = [];
  private readonly ended = () => {
    this.running -= 1;
    this.next();
  };

  /** `work` must not throw. */
  constructor(
    private readonly limits: MailboxLimits,
    private readonly work: (item: T) => Promise<void>,
  ) {}

  get inFlight(): number {
    return this.running;
  }

  get queued(): number {
    return this.waiting.size;
  }

  /** Whether an item that comes now is worked on at once. */
  get isFree(): boolean {
    return this.waiting.size === 0 && this.running < this.limits.concurrency.limit;
  }

  /** How many items go before one that comes now, of those that wait. */
  ahead(priority: Priority): number {
    return this.waiting.ahead(priority);
  }

  /** Whether one that comes now and has to wait finds room, or can be made room for. */
  hasRoom(priority: Priority): boolean {
    return this.waiting.size < this.limits.capacity || this.waiting.ahead(priority) < this.waiting.size;
  }

  /** Takes an item that finds room, and gives the one that it gave up for that. */
  take(item: T): T | undefined {
    if (this.isFree) {
      this.begin(item);
      return undefined;
    }
    const shed = this.waiting.size < this.limits.capacity ? undefined : this.waiting.popBelow(item.priority);
    if (shed !== undefined) shed.place = undefined;
    item.place = this.waiting.push(item, item.priority);
    return shed;
  }

  /** Takes back an item that has not begun; false when it has, or is not here any more. */
  withdraw(item: T): boolean {
    if (item.place === undefined) return false;
    this.waiting.remove(item.place);
    item.place = undefined;
    this.tellIdle();
    return true;
  }

  /** Takes back everything that has not begun. */
  clear(): T[] {
    const items = this.waiting.clear();
    for (const item of items) item.place = undefined;
    this.tellIdle();
    return items;
  }

  /** Resolves when nothing runs and nothing waits. */
  whenIdle(): Promise<void> {
    if (this.running === 0 && this.waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private begin(item: T): void {
    this.running += 1;
    void this.work(item).then(this.ended);
  }

  private next(): void {
    while (this.running < this.limits.concurrency.limit) {
      const item = this.waiting.shift();
      if (item === undefined) break;
      item.place = undefined;
      this.begin(item);
    }
    this.tellIdle();
  }

  private tellIdle(): void {
    if (this.idle.length === 0 || this.running > 0 || this.waiting.size > 0) return;
    const idle = this.idle;
    this.idle = [];
    for (const resolve of idle) resolve();
  }
}
