/**
 * A queue whose consumer takes all that has come together: what is pushed in one turn of the event loop, and while the
 * consumer is busy with the batch before, leaves as one. Bounded in bytes, as the producers count them.
 */
export class BatchQueue<T> implements AsyncIterable<T[]> {
  private items: { readonly item: T; readonly bytes: number }[] = [];
  private queuedBytes = 0;
  private ended = false;
  private wake: (() => void) | undefined;

  constructor(private readonly limits: { readonly batchBytes: number; readonly queueBytes: number }) {}

  /** Adds an item; false when the queue is full or has ended. */
  push(item: T, bytes: number): boolean {
    if (this.ended || this.queuedBytes >= this.limits.queueBytes) return false;
    this.items.push({ item, bytes });
    this.queuedBytes += bytes;
    this.wake?.();
    return true;
  }

  /** What is queued is still delivered. */
  close(): void {
    this.ended = true;
    this.wake?.();
  }

  /** Takes back what has not been delivered, and ends the queue. */
  drain(): T[] {
    const left = this.items.map(({ item }) => item);
    this.items = [];
    this.queuedBytes = 0;
    this.close();
    return left;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T[], void, undefined> {
    for (;;) {
      if (this.items.length === 0) {
        if (this.ended) return;
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
        this.wake = undefined;
        // Others of the same turn come along.
        await new Promise<void>((resolve) => setImmediate(resolve));
        continue;
      }
      yield this.take();
    }
  }

  private take(): T[] {
    let bytes = 0;
    let count = 0;
    for (const entry of this.items) {
      if (count > 0 && bytes + entry.bytes > this.limits.batchBytes) break;
      bytes += entry.bytes;
      count += 1;
    }
    const taken = this.items.slice(0, count);
    this.items = count === this.items.length ? [] : this.items.slice(count);
    this.queuedBytes -= bytes;
    return taken.map(({ item }) => item);
  }
}
