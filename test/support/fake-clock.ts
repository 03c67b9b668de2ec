import type { Clock } from '../../src/core/clock.js';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  private wallMs: number;
  private elapsedMs = 0;
  /** By due time, then by order of setting. */
  private timers: Timer[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.wallMs = startMs;
  }

  now(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: this.elapsedMs + Math.max(delayMs, 0), callback };
    const index = this.timers.findIndex(({ dueMs }) => dueMs > timer.dueMs);
    this.timers.splice(index === -1 ? this.timers.length : index, 0, timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** How many timers wait: 0 when whatever was started has been stopped. */
  get pending(): number {
    return this.timers.length;
  }

  /** Moves both clocks on by `ms`, runs what falls due in order, and lets promises settle before, between and after. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.elapsedMs + ms;
    await settle();
    for (let next = this.timers[0]; next !== undefined && next.dueMs <= untilMs; next = this.timers[0]) {
      this.timers.shift();
      this.moveTo(next.dueMs);
      next.callback();
      await settle();
    }
    this.moveTo(untilMs);
  }

  /** Sets the wall clock forward or back, as NTP does; durations and timers do not notice. */
  step(ms: number): void {
    this.wallMs += ms;
  }

  private moveTo(elapsedMs: number): void {
    this.wallMs += elapsedMs - this.elapsedMs;
    this.elapsedMs = elapsedMs;
  }
}

/** Resolves when no promise that can settle now is left unsettled. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
