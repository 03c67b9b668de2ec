import type { Clock } from '../core/clock.js';

/** Another message with the same name that comes within this is the same. */
const WINDOW_MS = 120_000;
const MAX_KEPT = 100_000;

/** A message, by those who send and get it: a sender may give two receivers the same. */
interface Named {
  readonly from: string;
  readonly to: string;
  readonly id: string;
}

/** What was taken of late, of those who send until they hear of it. Bounded: beyond 100,000 the oldest are forgotten. */
export class RecentMessages {
  private readonly seen = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  has(message: Named): boolean {
    const atMs = this.seen.get(nameOf(message));
    return atMs !== undefined && this.clock.monotonicMs() - atMs < WINDOW_MS;
  }

  add(message: Named): void {
    const now = this.clock.monotonicMs();
    const name = nameOf(message);
    // Last, also where it was there.
    this.seen.delete(name);
    this.seen.set(name, now);
    // In order of arrival: the first are the oldest.
    for (const [key, atMs] of this.seen) {
      if (this.seen.size <= MAX_KEPT && now - atMs < WINDOW_MS) break;
      this.seen.delete(key);
    }
  }
}

function nameOf({ from, to, id }: Named): string {
  return `${from}/${to}/${id}`;
}
