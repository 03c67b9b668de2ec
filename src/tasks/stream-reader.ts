import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import type { Call } from '../rpc/call.js';

export interface StreamReaderDeps {
  readonly clock: Clock;
  /** The caller's connection was lost: nobody reads, but somebody may come back. */
  readonly onLost?: () => void;
}

/**
 * The reader's end of a stream: a caller that cancels, or whose deadline passes, ends the agent's work at once. Where only its connection was
 * lost the stream from the node is held, unread, for a while: who comes back takes it over there.
 */
export class StreamReader {
  private readonly controller = new AbortController();
  private events: AsyncIterator<unknown> | undefined;
  private over = false;
  private lost = false;
  private disarm: () => void = () => undefined;

  constructor({ clock, onLost }: StreamReaderDeps, windowMs: number, call: Call) {
    call.onCancel((error) => {
      if (!isLost(error, windowMs)) return this.controller.abort(error);
      this.lost = true;
      // From now on, not from when the next message comes.
      if (!this.over) this.disarm = clock.after(windowMs, () => void this.end());
      onLost?.();
    });
  }

  /** Aborts when nobody will read any more. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  reads(events: AsyncIterator<unknown>): void {
    this.over = false;
    this.events = events;
  }

  /** The stream from the node has ended. */
  ended(): void {
    this.over = true;
    this.disarm();
  }

  /** Nobody reads any more. */
  async leave(): Promise<void> {
    if (!this.over && !this.lost) await this.end();
  }

  private async end(): Promise<void> {
    this.controller.abort(new TroupeError('CANCELLED', 'CANCELLED', 'the reader of the stream has gone'));
    await this.events?.return?.().catch(() => undefined);
  }
}

/** Whether a call that ended early may be continued by another. */
export function isLost({ reason }: TroupeError, windowMs: number): boolean {
  return reason === 'CONNECTION_LOST' && windowMs > 0;
}
