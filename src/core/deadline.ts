/** Of a task for which nobody gave a deadline. */
export const DEFAULT_DEADLINE_MS = 30_000;
export const MAX_DEADLINE_MS = 3_600_000;

/**
 * When a task ends at the latest, in milliseconds since the epoch: the earliest of what was given (infinite or undefined counts
 * as not given), 30 s from now when nothing was, and never more than an hour from now.
 */
export function effectiveDeadline(nowMs: number, ...given: readonly (number | undefined)[]): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (const deadline of given) earliest = Math.min(earliest, deadline ?? earliest);
  return Math.min(Number.isFinite(earliest) ? earliest : nowMs + DEFAULT_DEADLINE_MS, nowMs + MAX_DEADLINE_MS);
}
