import type { Random } from '../core/random.js';

export interface BackoffPolicy {
  /** Upper end of the first wait. */
  readonly initialMs: number;
  /** Upper end of every wait. */
  readonly capMs: number;
}

/**
 * How long to wait before try `attempt` (1: the first repetition): uniform in [0, min(cap, initial × 2^(attempt-1))].
 * Full jitter: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
 */
export function backoffMs(attempt: number, policy: BackoffPolicy, random: Random): number {
  const ceiling = Math.min(policy.capMs, policy.initialMs * 2 ** Math.min(attempt - 1, 30));
  return random.next() * ceiling;
}
