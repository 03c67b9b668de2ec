/**
 * How long before a lease can have expired its holder must act as if it had: for the drift between two clocks that measure the same
 * life, and the time from looking at the fence to acting on it.
 */
export function fenceMarginMs(ttlMs: number): number {
  return Math.max(500, ttlMs / 10);
}
