import { isTroupeError } from '../../src/core/errors.js';
import { cleanUp } from './clean-up.js';

/** What callers got who call again and again. */
export interface Tally {
  readonly succeeded: number;
  /** What each failure said, and how often. */
  readonly failures: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

/** Callers that call again and again until `stop` (or the end of the test), each as soon as it has its answer. */
export class Load {
  succeeded = 0;
  private readonly failures: Record<string, number> = {};
  private slowestMs = 0;
  private stopped = false;
  private readonly callers: Promise<void>[];

  constructor(atOnce: number, call: () => Promise<unknown>) {
    this.callers = Array.from({ length: atOnce }, () => this.run(call));
    cleanUp(() => this.stop());
  }

  /** Waits for the calls under way. */
  async stop(): Promise<Tally> {
    this.stopped = true;
    await Promise.all(this.callers);
    const { succeeded, failures, slowestMs } = this;
    return { succeeded, failures, slowestMs };
  }

  private async run(call: () => Promise<unknown>): Promise<void> {
    while (!this.stopped) {
      const startedAt = performance.now();
      try {
        await call();
        this.succeeded += 1;
      } catch (error) {
        const said = isTroupeError(error) ? `${error.code}/${error.reason}: ${error.message}` : String(error);
        this.failures[said] = (this.failures[said] ?? 0) + 1;
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt);
      // Calls that fail at once must not keep everything else from happening.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
