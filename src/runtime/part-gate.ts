import { TroupeError } from '../core/errors.js';

/** Parts that may wait, of an agent that does not wait for `emit`, before its answer fails. */
const MAX_WAITING = 256;

/** Lets the parts of an answer through as its reader wants them: an agent that is ahead waits. */
export class PartGate {
  private wake: (() => void)[] = [];
  private isOpen = false;

  /** `left`: parts that may come at first. */
  constructor(private left: number) {}

  /** Whether the next part would have to wait. */
  get isShut(): boolean {
    return !this.isOpen && this.left === 0;
  }

  /** Whether no more parts may wait. */
  get isFull(): boolean {
    return this.wake.length >= MAX_WAITING;
  }

  /** So many more are wanted. */
  add(parts: number): void {
    this.left = Math.min(this.left + parts, Number.MAX_SAFE_INTEGER);
    while (this.left > 0) {
      const wake = this.wake.shift();
      if (wake === undefined) break;
      this.left -= 1;
      wake();
    }
  }

  /** Whether the next part may go now; then it is counted. */
  tryPass(): boolean {
    if (this.isOpen) return true;
    if (this.left === 0) return false;
    this.left -= 1;
    return true;
  }

  /** Resolves when the next part may go. Rejects with RESOURCE_EXHAUSTED / STREAM_OVERFLOW where too many wait. */
  pass(): Promise<void> {
    if (this.tryPass()) return Promise.resolve();
    if (this.isFull) return Promise.reject(streamOverflow());
    return new Promise((resolve) => this.wake.push(resolve));
  }

  /** Nobody reads any more: whoever waits goes on. */
  open(): void {
    this.isOpen = true;
    for (const wake of this.wake.splice(0)) wake();
  }
}

/** What becomes of an answer whose agent does not wait for its reader. */
export function streamOverflow(): TroupeError {
  return new TroupeError(
    'RESOURCE_EXHAUSTED',
    'STREAM_OVERFLOW',
    `the agent is ${MAX_WAITING} parts ahead of the reader: it must await ctx.emit()`,
  );
}
