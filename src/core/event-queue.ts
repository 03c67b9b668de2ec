/**
 * A bounded queue between a producer that must not wait and one consumer that iterates. A producer that overtakes the
 * consumer by `capacity` items ends the queue with `onOverflow()`: nothing is dropped in silence.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  private readonly items: T[] = [];
  private head = 0;
  private wake: (() => void) | undefined;
  private end: { readonly error: unknown } | 'closed' | undefined;

  constructor(
    private readonly capacity: number,
    private readonly onOverflow: () => Error,
  ) {}

  /** Adds an item; false when the queue has ended. */
  push(item: T): boolean {
    if (this.end !== undefined) return false;
    if (this.items.length - this.head >= this.capacity) {
      this.fail(this.onOverflow());
      return false;
    }
    this.items.push(item);
    this.signal();
    return true;
  }

  /** What is queued is still delivered. */
  close(): void {
    this.end ??= 'closed';
    this.signal();
  }

  /** What is queued is still delivered, then the consumer's next step throws `error`. */
  fail(error: unknown): void {
    this.end ??= { error };
    this.signal();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        while (this.head < this.items.length) {
          const item = this.items[this.head] as T;
          this.head += 1;
          if (this.head === this.items.length) {
            this.items.length = 0;
            this.head = 0;
          }
          yield item;
        }
        if (this.end === 'closed') return;
        if (this.end !== undefined) throw this.end.error;
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    } finally {
      this.end ??= 'closed';
      this.items.length = 0;
      this.head = 0;
    }
  }

  private signal(): void {
    this.wake?.();
    this.wake = undefined;
  }
}
