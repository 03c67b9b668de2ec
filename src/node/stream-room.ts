import { Fifo } from '../core/fifo.js';

/** Messages, and their bytes, that go to a reader before it has read any: the agent's `emit` waits when so many more wait behind them. */
const AHEAD = 16;
const AHEAD_BYTES = 1024 * 1024;

/** How much more of a stream may be sent, as its reader asks for it. */
export class StreamRoom {
  private readonly unread = new Fifo<number>();
  private unreadBytes = 0;
  private isClosed = false;
  private wake: () => void = () => undefined;

  /** Resolves when there is room for a message: false when none will be sent any more. */
  async more(): Promise<boolean> {
    while (!this.isClosed && (this.unread.size >= AHEAD || this.unreadBytes >= AHEAD_BYTES)) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return !this.isClosed;
  }

  sent(bytes: number): void {
    this.unread.push(bytes);
    this.unreadBytes += bytes;
  }

  /** The reader has read so many more. */
  read(messages: number): void {
    for (let left = Math.min(messages, this.unread.size); left > 0; left--) this.unreadBytes -= this.unread.shift() ?? 0;
    this.wake();
  }

  close(): void {
    this.isClosed = true;
    this.wake();
  }
}
