import { Fifo } from './fifo.js';

/**
 * A bounded queue between a producer that must not wait and one consumer that iterates. A producer that overtakes the
 * consumer by `capacity` items ends the queue with `onOverflow()`: nothing is dropped in silence.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  private readonly items = new Fifo<T>();
  private change: { readonly happens: Promise<void>; readonly happened: () => void } | undefined;
  private end: { readonly error: unknown } | 'closed' | undefined;

  constructor(
    private readonly capacity: number,
    private readonly onOverflow: () => Error,
  ) {}

  /** Adds an item; false when the queue has ended. */
  push(item: T): boolean {
    if (this.end !== undefined) return false;
    if (this.items.size >= this.capacity) {
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

  /** Not a generator: `return` must end a step that waits, and a generator would first let it finish. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T, void, undefined> {
    const iterator: AsyncIterableIterator<T, void, undefined> = {
      next: () => this.next(),
      return: () => {
        this.items.clear();
        this.end = 'closed';
        this.signal();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  private async next(): Promise<IteratorResult<T, void>> {
    for (;;) {
      if (this.items.size > 0) return { done: false, value: this.items.shift() as T };
      if (this.end === 'closed') return { done: true, value: undefined };
      if (this.end !== undefined) {
        const { error } = this.end;
        this.end = 'closed';
        throw error;
      }
      this.change ??= newChange();
      await this.change.happens;
    }
  }

  private signal(): void {
    this.change?.happened();
    this.change = undefined;
  }
}

function newChange() {
  let happened = (): void => undefined;
  const happens = new Promise<void>((resolve) => {
    happened = resolve;
  });
  return { happens, happened };
}
