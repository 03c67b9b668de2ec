import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../src/core/random.js';
import { cleanUp } from './clean-up.js';

/**
 * An open loop: calls at a fixed rate, whatever becomes of those before, until `stop` (or the end of the test). Gaps are half to one and a half of
 * the mean. `call` must not reject.
 */
export class Arrivals {
  private readonly running = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private readonly arriving: Promise<void>;

  constructor(
    private readonly perSecond: number,
    private readonly random: Random,
    private readonly call: () => Promise<void>,
  ) {
    this.arriving = this.arrive();
    cleanUp(() => this.stop());
  }

  /** Runs for so long, then waits for the calls under way. */
  async runFor(ms: number): Promise<void> {
    await delay(ms);
    await this.stop();
  }

  /** Waits for the calls under way. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.arriving;
    await Promise.all(this.running);
  }

  private async arrive(): Promise<void> {
    const { signal } = this.stopping;
    const meanMs = 1_000 / this.perSecond;
    for (let dueMs = performance.now(); !signal.aborted; ) {
      for (; dueMs <= performance.now() && !signal.aborted; dueMs += meanMs * (0.5 + this.random.next())) this.begin();
      await delay(Math.max(1, dueMs - performance.now()), undefined, { signal }).catch(() => undefined);
    }
  }

  private begin(): void {
    const running = this.call();
    this.running.add(running);
    void running.finally(() => this.running.delete(running));
  }
}
