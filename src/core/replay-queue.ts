import { TroupeError } from './errors.js';
import { Fifo } from './fifo.js';

export interface ReplayLimits {
  /** Items, and bytes, that the reader may be behind before a producer waits. */
  readonly limit: number;
  readonly limitBytes: number;
  /** Items, and bytes, that a producer which does not wait may be ahead before the queue fails with `onOverflow()`. */
  readonly most: number;
  readonly mostBytes: number;
  /** Of items that were read, so many bytes are kept for a reader that comes back; 0: none. */
  readonly keepBytes: number;
  readonly onOverflow: () => Error;
}

interface Entry<T> {
  readonly item: T;
  readonly bytes: number;
}

/**
 * A queue of numbered items between a producer that waits for its reader, and one reader at a time, who can leave and come
 * back to what it has not seen. A reader takes the place of the one before.
 */
export class ReplayQueue<T> {
  private readonly kept = new Fifo<Entry<T>>();
  /** The last item that the present reader has. */
  private readCursor: bigint;
  /** The last item that any reader has had: what a producer is ahead of. */
  private seenCursor: bigint;
  private lastCursor: bigint;
  private readBytes = 0;
  /** Of what no reader has had. */
  private aheadBytes = 0;
  private allBytes = 0;
  private hasDropped = false;
  private reader = 0;
  private wakeReader: () => void = () => undefined;
  private wakeProducers: (() => void)[] = [];
  private end: { readonly error: unknown } | 'closed' | undefined;

  /** `firstCursor`: the number of the first item. */
  constructor(
    private readonly limits: ReplayLimits,
    firstCursor: bigint,
  ) {
    this.readCursor = firstCursor - 1n;
    this.seenCursor = firstCursor - 1n;
    this.lastCursor = firstCursor - 1n;
  }

  /** Number of the item that comes next. */
  get nextCursor(): bigint {
    return this.lastCursor + 1n;
  }

  /** Whether nothing more comes. */
  get isClosed(): boolean {
    return this.end !== undefined;
  }

  /** Bytes that are held, read or not. */
  get bytes(): number {
    return this.allBytes;
  }

  /** Resolves when there is room again, or nothing is taken any more. */
  async send(item: T, bytes: number): Promise<void> {
    if (this.end !== undefined) return;
    const { limit, limitBytes, most, mostBytes } = this.limits;
    if (this.ahead >= most || this.aheadBytes >= mostBytes) {
      this.fail(this.limits.onOverflow());
      return;
    }
    this.kept.push({ item, bytes });
    this.allBytes += bytes;
    this.aheadBytes += bytes;
    this.lastCursor += 1n;
    this.wakeReader();
    while ((this.ahead >= limit || this.aheadBytes >= limitBytes) && this.end === undefined) {
      await new Promise<void>((resolve) => this.wakeProducers.push(resolve));
    }
  }

  /** What is queued is still delivered. */
  close(): void {
    this.finish('closed');
  }

  /** What is queued is still delivered, then the reader's next step throws. */
  fail(error: unknown): void {
    this.finish({ error });
  }

  /**
   * Items after `after`, to the end; all of them where it is before the first. @throws OUT_OF_RANGE / CURSOR_LOST when some are not kept any more,
   * or `after` was never there.
   */
  read(after: bigint): AsyncGenerator<T, void, undefined> {
    const firstKept = this.lastCursor - BigInt(this.kept.size) + 1n;
    const cursor = after < firstKept && !this.hasDropped ? firstKept - 1n : after;
    if (cursor + 1n < firstKept || cursor > this.lastCursor) {
      throw new TroupeError(
        'OUT_OF_RANGE',
        'CURSOR_LOST',
        `what follows cursor ${cursor} is not kept: there are ${firstKept} to ${this.lastCursor}`,
      );
    }
    this.reader += 1;
    // Whoever read before ends now.
    this.wakeReader();
    this.rewind(cursor, firstKept);
    return this.follow(this.reader);
  }

  /** The reader that the last `read` gave, for `detach`. */
  get currentReader(): number {
    return this.reader;
  }

  /** Ends a reader, unless another has taken its place, with ABORTED / TAKEN_OVER: nobody is at its other end. */
  detach(reader: number): void {
    if (this.reader !== reader) return;
    this.reader += 1;
    this.wakeReader();
  }

  private get behind(): number {
    return Number(this.lastCursor - this.readCursor);
  }

  /** A reader that goes over something again does not make its producer wait, or fail. */
  private get ahead(): number {
    return Number(this.lastCursor - this.seenCursor);
  }

  private rewind(cursor: bigint, firstKept: bigint): void {
    this.readCursor = cursor;
    this.readBytes = 0;
    const read = Number(cursor - firstKept + 1n);
    for (let index = 0; index < read; index++) this.readBytes += this.kept.at(index)?.bytes ?? 0;
  }

  private async *follow(me: number): AsyncGenerator<T, void, undefined> {
    for (;;) {
      if (this.reader !== me) throw new TroupeError('ABORTED', 'TAKEN_OVER', 'another reader continues this stream');
      if (this.readCursor < this.lastCursor) {
        yield this.take();
        continue;
      }
      if (this.end === 'closed') return;
      if (this.end !== undefined) throw this.end.error;
      await new Promise<void>((resolve) => {
        this.wakeReader = resolve;
      });
    }
  }

  private take(): T {
    const entry = this.kept.at(this.kept.size - this.behind) as Entry<T>;
    this.readCursor += 1n;
    if (this.readCursor > this.seenCursor) {
      this.seenCursor = this.readCursor;
      this.aheadBytes -= entry.bytes;
    }
    this.readBytes += entry.bytes;
    while (this.readBytes > this.limits.keepBytes && this.kept.size > this.behind) this.drop();
    this.letProducersGo();
    return entry.item;
  }

  private drop(): void {
    const bytes = this.kept.shift()?.bytes ?? 0;
    this.readBytes -= bytes;
    this.allBytes -= bytes;
    this.hasDropped = true;
  }

  private finish(end: { readonly error: unknown } | 'closed'): void {
    this.end ??= end;
    this.wakeReader();
    this.letProducersGo();
  }

  private letProducersGo(): void {
    const waiting = this.wakeProducers;
    this.wakeProducers = [];
    for (const resolve of waiting) resolve();
  }
}
