import { Fifo } from '../core/fifo.js';

export interface MailboxLimits {
  /** Items worked on at once. */
  readonly concurrency: number;
  /** Items that may wait. */
  readonly capacity: number;
}

/** Bounded and first in, first out: works on up to `concurrency` items at once, and refuses when `capacity` wait. */
export class Mailbox<T> {
  private readonly waiting = new Fifo<T>();
  private running = 0;
  private idle: (() => void)[] = [];

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

  /** Takes an item; false when the mailbox is full. */
  offer(item: T): boolean {
    if (this.running < this.limits.concurrency) {
      this.begin(item);
      return true;
    }
    if (this.waiting.size >= this.limits.capacity) return false;
    this.waiting.push(item);
    return true;
  }

  /** Takes back what has not begun. */
  clear(): T[] {
    return this.waiting.clear();
  }

  /** Resolves when nothing runs and nothing waits. */
  whenIdle(): Promise<void> {
    if (this.running === 0 && this.waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private begin(item: T): void {
    this.running += 1;
    void this.work(item).finally(() => {
      this.running -= 1;
      this.next();
    });
  }

  private next(): void {
    while (this.running < this.limits.concurrency) {
      const item = this.waiting.shift();
      if (item === undefined) break;
      this.begin(item);
    }
    if (this.running > 0 || this.waiting.size > 0) return;
    const idle = this.idle;
    this.idle = [];
    for (const resolve of idle) resolve();
  }
}
