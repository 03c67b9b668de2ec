/** Where time comes from. Durations are measured with `monotonicMs`; `now` is for people and for the wire. */
export interface Clock {
  /** Milliseconds since the Unix epoch; can step. */
  now(): number;
  /** Milliseconds since an arbitrary start; never steps back. Goes on while the process is stopped. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs` (0 to 2^31 - 1). Returns how to call that off. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
