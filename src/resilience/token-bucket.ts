import type { Clock } from '../core/clock.js';

export interface RateLimit {
  /** Tokens that come in a second, above 0; may be a fraction. */
  readonly perSecond: number;
  /** Tokens that it holds at most, at least 1: how many may be taken at once after a pause. */
  readonly burst: number;
}

/** A token is whole when only an error of rounding is missing. */
const WHOLE = 1 - 1e-9;

/** Grants `burst` at once and `perSecond` in the long run. Full at first; refilled when it is asked, without a timer. */
export class TokenBucket {
  private tokens: number;
  private filledAtMs: number;

  constructor(
    private limit: RateLimit,
    private readonly clock: Clock,
  ) {
    this.tokens = limit.burst;
    this.filledAtMs = clock.monotonicMs();
  }

  /** Whether it is as good as new. */
  get isFull(): boolean {
    this.refill();
    return this.tokens >= this.limit.burst;
  }

  tryTake(): boolean {
    this.refill();
    if (this.tokens < WHOLE) return false;
    this.tokens = Math.max(0, this.tokens - 1);
    return true;
  }

  /** Takes back a token that was taken and not used. */
  giveBack(): void {
    this.tokens = Math.min(this.limit.burst, this.tokens + 1);
  }

  /** Until a token can be taken; 0 when one can now. Rounded up: who waits for so long gets it, if nobody was faster. */
  retryInMs(): number {
    this.refill();
    return this.tokens >= WHOLE ? 0 : Math.ceil(((1 - this.tokens) * 1000) / this.limit.perSecond);
  }

  /** Goes on with another limit. What was used up stays used up. */
  follow(limit: RateLimit): void {
    if (limit.perSecond === this.limit.perSecond && limit.burst === this.limit.burst) return;
    this.refill();
    this.tokens = Math.max(0, limit.burst - (this.limit.burst - this.tokens));
    this.limit = limit;
  }

  private refill(): void {
    const now = this.clock.monotonicMs();
    this.tokens = Math.min(this.limit.burst, this.tokens + ((now - this.filledAtMs) * this.limit.perSecond) / 1000);
    this.filledAtMs = now;
  }
}
