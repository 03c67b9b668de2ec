import type { Clock } from '../core/clock.js';
import { type RateLimit, TokenBucket } from './token-bucket.js';

/** Callers that are told apart at once. A bucket takes about 150 bytes. */
const MAX_KEYS = 10_000;
/** Buckets that a newcomer has looked at for a place when the table is full: so that it costs the same at any size. */
const LOOKED_AT = 16;

interface Slot {
  key: string;
  bucket: TokenBucket;
}

/**
 * A limit for each caller, in bounded memory. A bucket is forgotten only when it is full, so as good as a new one: nobody who used up his
 * tokens gets new ones by being forgotten. Where the table holds nothing but such callers (somebody makes up keys), newcomers
 * share one bucket until there is room again.
 */
export class RateLimiter {
  private readonly index = new Map<string, Slot>();
  /** The same slots in a ring, over which a hand goes (the CLOCK algorithm of page caches). */
  private readonly ring: Slot[] = [];
  private hand = 0;
  private shared: TokenBucket | undefined;

  /** `limitFor`: the limit of a caller; undefined for one without a limit. May change its mind. */
  constructor(
    private readonly limitFor: (key: string) => RateLimit | undefined,
    private readonly clock: Clock,
    private readonly maxKeys = MAX_KEYS,
  ) {}

  /** Callers that it keeps apart now. */
  get size(): number {
    return this.ring.length;
  }

  /** Takes a token of the caller `key`. 0: granted; else how long until there is one, in milliseconds. */
  take(key: string): number {
    return this.takeAll([key])?.waitMs ?? 0;
  }

  /** Takes a token of each of `keys`, or none at all. Undefined: granted; else the first that has none, and how long until it has. */
  takeAll(keys: readonly string[]): { readonly key: string; readonly waitMs: number } | undefined {
    const taken: TokenBucket[] = [];
    for (const key of keys) {
      const limit = this.limitFor(key);
      if (limit === undefined) continue;
      const bucket = this.bucketOf(key, limit);
      if (!bucket.tryTake()) {
        const waitMs = Math.max(1, bucket.retryInMs());
        for (const each of taken) each.giveBack();
        return { key, waitMs };
      }
      taken.push(bucket);
    }
    return undefined;
  }

  private bucketOf(key: string, limit: RateLimit): TokenBucket {
    const known = this.index.get(key);
    if (known !== undefined) {
      known.bucket.follow(limit);
      return known.bucket;
    }
    const slot = this.place(key, limit);
    if (slot !== undefined) return slot.bucket;
    this.shared ??= new TokenBucket(limit, this.clock);
    this.shared.follow(limit);
    return this.shared;
  }

  private place(key: string, limit: RateLimit): Slot | undefined {
    let slot: Slot | undefined;
    if (this.ring.length < this.maxKeys) {
      slot = { key, bucket: new TokenBucket(limit, this.clock) };
      this.ring.push(slot);
    } else {
      slot = this.findFull();
      if (slot === undefined) return undefined;
      this.index.delete(slot.key);
      slot.key = key;
      slot.bucket = new TokenBucket(limit, this.clock);
    }
    this.index.set(key, slot);
    return slot;
  }

  private findFull(): Slot | undefined {
    for (let looked = 0; looked < Math.min(LOOKED_AT, this.ring.length); looked++) {
      const slot = this.ring[this.hand];
      this.hand = (this.hand + 1) % this.ring.length;
      if (slot?.bucket.isFull === true) return slot;
    }
    return undefined;
  }
}
