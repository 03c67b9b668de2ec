import { Fifo } from './fifo.js';

/** A queue between a producer that waits while the consumer is `limit` items behind and one consumer that iterates. */
export class FlowQueue<T> implements AsyncIterable<T> {
  private readonly items = new Fifo<T>();
  private wakeConsumer: (() => void) | undefined;
  private wakeProducers: (() => void)[] = [];
  private end: { readonly error: unknown } | 'closed' | undefined;

  /** A producer that does not wait, and gets `most` items ahead, ends the queue with `onOverflow()`. */
  constructor(
    private readonly limit: number,
    private readonly most: number,
    private readonly onOverflow: () => Error,
  ) {}

  /** Resolves when there is room again, or nobody reads any more. */
  async send(item: T): Promise<void> {
    if (this.end !== undefined) return;
    if (this.items.size >= this.most) {
      this.fail(this.onOverflow());
      return;
    }
    this.items.push(item);
    this.wake();
    while (this.items.size >= this.limit && this.end === undefined) {
      await new Promise<void>((resolve) => this.wakeProducers.push(resolve));
    }
  }

  /** What is queued is still delivered. */
  close(): void {
    this.end ??= 'closed';
    this.wake();
    this.release();
  }

  /** What is queued is still delivered, then the consumer's next step throws. */
  fail(error: unknown): void {
    this.end ??= { error };
    this.wake();
    this.release();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        while (this.items.size > 0) {
          const item = this.items.shift() as T;
          this.release();
          yield item;
        }
        if (this.end === 'closed') return;
        if (this.end !== undefined) throw this.end.error;
        await new Promise<void>((resolve) => {
          this.wakeConsumer = resolve;
        });
      }
    } finally {
      this.end ??= 'closed';
      this.release();
    }
  }

  private wake(): void {
    this.wakeConsumer?.();
    this.wakeConsumer = undefined;
  }

  private release(): void {
    const waiting = this.wakeProducers;
    this.wakeProducers = [];
    for (const resolve of waiting) resolve();
  }
}
