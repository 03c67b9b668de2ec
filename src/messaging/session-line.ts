import type { Clock } from '../core/clock.js';
import type { TroupeError } from '../core/errors.js';
import { frameBytes, type NodeFrame } from '../link/session-frames.js';
import type { ByteStream } from '../rpc/byte-stream.js';

/** Frames other than batches that may wait for a program that does not read. */
const MAX_CONTROL = 1_000;

/** Where a line gets what it writes. */
export interface LineSource {
  /** The next frame; undefined where there is none. */
  next(): Buffer | undefined;
  /** All that there was has been written. */
  idle(): void;
  /** More than MAX_CONTROL frames wait. */
  overflow(): void;
}

/**
 * One stream of a session, as the node writes to it: one frame after the other, each when the one before is on its way; what is said in one turn of
 * the event loop, and while a frame is written, leaves together.
 */
export class SessionLine {
  private control: Buffer[] = [];
  private isWriting = false;
  private isScheduled = false;
  private isOver = false;
  private heardAtMs: number;
  private isAsked = false;

  constructor(
    readonly stream: ByteStream,
    private readonly source: LineSource,
    private readonly clock: Clock,
  ) {
    this.heardAtMs = clock.monotonicMs();
  }

  /** Says something that is no batch: before any that wait. */
  say(frame: NodeFrame): void {
    if (this.isOver) return;
    if (this.control.length < MAX_CONTROL) {
      this.control.push(frameBytes(frame));
      this.wake();
    } else this.source.overflow();
  }

  /** There may be something to be written. */
  wake(): void {
    if (this.isScheduled || this.isWriting || this.isOver) return;
    this.isScheduled = true;
    setImmediate(this.flush);
  }

  /** The program has said something. */
  heard(): void {
    this.heardAtMs = this.clock.monotonicMs();
    this.isAsked = false;
  }

  /** Asks a program that was silent for `askMs` for a sign of life. Gives for how long it has been silent. */
  probe(askMs: number): number {
    const silentMs = this.clock.monotonicMs() - this.heardAtMs;
    if (silentMs >= askMs && !this.isAsked) {
      this.isAsked = true;
      this.say({ $case: 'ping', value: { id: BigInt(Math.floor(this.heardAtMs)) } });
    }
    return silentMs;
  }

  /** Ends the stream: in order, or with an error. What waits is not written. */
  end(error?: TroupeError): void {
    if (this.isOver) return;
    this.lost();
    if (error === undefined) this.stream.end();
    else this.stream.fail(error);
  }

  /** The stream is over. */
  lost(): void {
    this.isOver = true;
    this.control = [];
  }

  private readonly flush = (): void => {
    this.isScheduled = false;
    if (this.isOver || this.isWriting) return;
    const frame = this.control.shift() ?? this.source.next();
    if (frame === undefined) this.source.idle();
    else {
      this.isWriting = true;
      this.stream.write(frame, this.written);
    }
  };

  private readonly written = (): void => {
    this.isWriting = false;
    this.flush();
  };
}
