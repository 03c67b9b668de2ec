import type { Clock } from '../core/clock.js';

export interface RetryBudgetPolicy {
  /** Retries for each first try. */
  readonly ratio: number;
  /** Retries a second that are there even without first tries, so that a quiet caller can retry. */
  readonly minPerSecond: number;
  /** For how long a first try counts. */
  readonly windowMs: number;
}

/** Those of Finagle. */
export const DEFAULT_RETRY_BUDGET: RetryBudgetPolicy = { ratio: 0.2, minPerSecond: 10, windowMs: 10_000 };

/** Parts of the window that expire one after another, as in Finagle's WindowedAdder. */
const PARTS = 10;

/**
 * Keeps retries from making an overload worse: within the window they are at most `ratio` of the first tries and a reserve of
 * `minPerSecond`, whatever fails (Finagle, RetryBudget and LeakyTokenBucket). Without timers; a step costs the same however many
 * calls there are.
 */
export class RetryBudget {
  /** Deposits less withdrawals of each part, in retries. */
  private readonly parts = new Float64Array(PARTS);
  private readonly partMs: number;
  private readonly reserve: number;
  private readonly ratio: number;
  private newest: number;
  private sum = 0;

  constructor(
    { ratio, minPerSecond, windowMs }: RetryBudgetPolicy,
    private readonly clock: Clock,
  ) {
    this.ratio = ratio;
    this.partMs = windowMs / PARTS;
    this.reserve = (minPerSecond * windowMs) / 1000;
    this.newest = this.partNow();
  }

  /** Retries that it would grant now. */
  get balance(): number {
    this.expire();
    // Five first tries give one retry, also where the sum of five times 0.2 is a little less than 1.
    return Math.floor(this.reserve + this.sum + 1e-6);
  }

  /** A first try was made. */
  deposit(): void {
    this.add(this.ratio);
  }

  /** Asks for a retry. */
  tryWithdraw(): boolean {
    if (this.balance < 1) return false;
    this.add(-1);
    return true;
  }

  private add(amount: number): void {
    this.expire();
    const index = this.newest % PARTS;
    this.parts[index] = (this.parts[index] ?? 0) + amount;
    this.sum += amount;
  }

  private expire(): void {
    const now = this.partNow();
    if (now === this.newest) return;
    for (let part = Math.max(this.newest + 1, now - PARTS + 1); part <= now; part++) this.parts[part % PARTS] = 0;
    this.newest = now;
    // Summed anew, so that no error of rounding lasts.
    this.sum = this.parts.reduce((sum, part) => sum + part, 0);
  }

  private partNow(): number {
    return Math.floor(this.clock.monotonicMs() / this.partMs);
  }
}
