import type { Clock } from '../core/clock.js';

/** Another message with the same name that comes within this is the same. */
const WINDOW_MS = 120_000;
const MAX_KEPT = 100_000;

/** What was taken of late, of those who send until they hear of it. Bounded: beyond 100,000 the oldest are forgotten. */
export class RecentMessages {
  private readonly seen = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  has(from: string, id: string): boolean {
    const atMs = this.seen.get(`${from}/${id}`);
    return atMs !== undefined && this.clock.monotonicMs() - atMs < WINDOW_MS;
  }

  add(from: string, id: string): void {
    const now = this.clock.monotonicMs();
    this.seen.set(`${from}/${id}`, now);
    // In order of arrival: the first are the oldest.
    for (const [key, atMs] of this.seen) {
      if (this.seen.size <= MAX_KEPT && now - atMs < WINDOW_MS) break;
      this.seen.delete(key);
    }
  }
}
