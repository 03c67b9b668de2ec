import { abortable, delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { abortError, invalidFields, isTroupeError, TroupeError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { INTEREST_PATTERN, INTEREST_SERVICE, type Instance, type InstanceKey } from '../core/instance.js';
import type { Random } from '../core/random.js';
import { patternViolation } from '../core/topic.js';
import type { Membership } from '../discovery/membership.js';
import { PUT_AT_ONCE } from '../discovery/registration-write.js';
import { backoffMs } from '../resilience/backoff.js';

export interface InterestDeps {
  /** The process's place in the cluster: what is wanted hangs on its lease. */
  readonly membership: Pick<Membership, 'self' | 'putAll' | 'remove'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** How long the registry has to take what is wanted. */
export const WANT_TIMEOUT_MS = 3_000;
/** What nobody wants any more stays for so long, so that a subscriber who comes back costs nothing. */
export const LINGER_MS = 300;
/** Different patterns that one process may want. */
export const MAX_PATTERNS = 10_000;
const BACKOFF = { initialMs: 50, capMs: 500 };

/** One who waits until a pattern is registered. */
interface Waiter {
  registered(): void;
  failed(error: TroupeError): void;
}

/** One pattern that is wanted. */
interface Wish {
  readonly pattern: string;
  /** Those who were told that it is registered. */
  holders: number;
  readonly waiters: Set<Waiter>;
  /** Its instance, once it is registered. */
  key: InstanceKey | undefined;
  /** While nobody holds it, but it lingers. */
  cancelLinger: (() => void) | undefined;
}

/**
 * What this process wants to get of what is broadcast: one instance in the registry for each pattern, however many want it. What is
 * registered stays so: membership registers it again when the lease was lost. Each registration has an id of its own, so that what one try has
 * left behind, and a removal that is still on its way, never touch the next.
 */
export class Interest {
  private readonly wishes = new Map<string, Wish>();
  /** Wishes to be registered. One that is being registered is in `wishes` alone. */
  private readonly missing = new Set<Wish>();
  private leaving: InstanceKey[] = [];
  private worker: Promise<void> | undefined;
  private lastFailure: unknown;
  private readonly closing = new AbortController();

  constructor(private readonly deps: InterestDeps) {}

  /** Different patterns that are wanted. */
  get size(): number {
    return this.wishes.size;
  }

  /**
   * Resolves when the registry has the pattern; whoever was told so calls `unwant` once. Waits 3 s for a registry, or a lease, that is away.
   * Nothing is kept of a want that failed. @throws INVALID_ARGUMENT, RESOURCE_EXHAUSTED / TOO_MANY_PATTERNS, UNAVAILABLE, the signal's reason.
   */
  async want(pattern: string, signal?: AbortSignal): Promise<void> {
    const violation = patternViolation('pattern', pattern);
    if (violation !== undefined) throw invalidFields([violation]);
    if (this.closing.signal.aborted) throw ending();
    if (signal?.aborted === true) throw abortError(signal);
    const wish = this.wishes.get(pattern) ?? this.newWish(pattern);
    if (wish.key === undefined) return this.registered(wish, signal);
    wish.cancelLinger?.();
    wish.cancelLinger = undefined;
    wish.holders += 1;
  }

  /** One who wanted the pattern does so no more. When it was the last, it is deregistered 300 ms later. */
  unwant(pattern: string): void {
    const wish = this.wishes.get(pattern);
    if (wish === undefined || wish.holders === 0) return;
    wish.holders -= 1;
    if (wish.holders === 0) this.linger(wish);
  }

  /** Whoever still waits hears UNAVAILABLE. What is registered stays, until the lease goes. */
  async close(): Promise<void> {
    this.closing.abort(ending());
    for (const wish of [...this.wishes.values()]) {
      wish.cancelLinger?.();
      for (const waiter of [...wish.waiters]) waiter.failed(ending());
    }
    await this.worker;
  }

  private newWish(pattern: string): Wish {
    if (this.wishes.size >= MAX_PATTERNS)
      throw new TroupeError(
        'RESOURCE_EXHAUSTED',
        'TOO_MANY_PATTERNS',
        `this process has subscriptions to ${MAX_PATTERNS} different patterns; use wildcards, or another node`,
      );
    const wish: Wish = { pattern, holders: 0, waiters: new Set(), key: undefined, cancelLinger: undefined };
    this.wishes.set(pattern, wish);
    this.missing.add(wish);
    this.wake();
    return wish;
  }

  private registered(wish: Wish, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.failed(abortError(signal as AbortSignal));
      const end = () => {
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        wish.waiters.delete(waiter);
      };
      const waiter: Waiter = {
        registered: () => {
          end();
          resolve();
        },
        failed: (error) => {
          end();
          if (wish.waiters.size === 0 && this.missing.delete(wish)) this.wishes.delete(wish.pattern);
          reject(error);
        },
      };
      wish.waiters.add(waiter);
      const cancelTimer = this.deps.clock.after(WANT_TIMEOUT_MS, () => waiter.failed(this.notTaken(wish.pattern)));
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  private notTaken(pattern: string): TroupeError {
    const { lastFailure } = this;
    if (isTroupeError(lastFailure) && lastFailure.code === 'UNAVAILABLE') return lastFailure;
    const message = `the registry has not taken the subscription to "${pattern}" within ${WANT_TIMEOUT_MS} ms; try again`;
    return new TroupeError('UNAVAILABLE', 'REGISTRY_UNAVAILABLE', message, { retryAfterMs: 1_000, cause: lastFailure });
  }

  private linger(wish: Wish): void {
    if (this.closing.signal.aborted) return;
    wish.cancelLinger = this.deps.clock.after(LINGER_MS, () => {
      this.wishes.delete(wish.pattern);
      if (wish.key !== undefined) this.leaving.push(wish.key);
      this.wake();
    });
  }

  private wake(): void {
    if (!this.closing.signal.aborted) this.worker ??= this.work();
  }

  /** Works off what is due, one call after the other, and ends when nothing is. */
  private async work(): Promise<void> {
    const { signal } = this.closing;
    const { clock, random } = this.deps;
    let failures = 0;
    // Others of the same turn come along.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (!signal.aborted && (this.missing.size > 0 || this.leaving.length > 0)) {
      failures = (await this.registerSome()) ? 0 : failures + 1;
      await this.deregisterSome();
      if (failures > 0) await delay(backoffMs(failures, BACKOFF, random), signal, clock).catch(() => undefined);
    }
    this.worker = undefined;
  }

  /** False: the registry did not take them. They are tried again as long as somebody waits, who is told why in the end. */
  private async registerSome(): Promise<boolean> {
    const batch = [...this.missing].slice(0, PUT_AT_ONCE);
    if (batch.length === 0) return true;
    for (const wish of batch) this.missing.delete(wish);
    const instances = batch.map(({ pattern }) => this.instanceFor(pattern));
    try {
      await abortable(this.deps.membership.putAll(instances), this.closing.signal);
    } catch (error) {
      this.lastFailure = error;
      for (const wish of batch) {
        if (wish.waiters.size > 0) this.missing.add(wish);
        else this.wishes.delete(wish.pattern);
      }
      return false;
    }
    this.lastFailure = undefined;
    batch.forEach((wish, index) => {
      wish.key = instances[index];
      wish.holders = wish.waiters.size;
      for (const waiter of [...wish.waiters]) waiter.registered();
      if (wish.holders === 0) this.linger(wish);
    });
    return true;
  }

  private async deregisterSome(): Promise<void> {
    const keys = this.leaving;
    this.leaving = [];
    if (keys.length === 0) return;
    // Membership does it later where it cannot be done now.
    await abortable(this.deps.membership.remove(keys), this.closing.signal).catch(() => undefined);
  }

  private instanceFor(pattern: string): Instance {
    const { id, endpoint, zone } = this.deps.membership.self;
    return {
      id: newId(INTEREST_SERVICE, this.deps.random),
      service: INTEREST_SERVICE,
      endpoint,
      status: 'up',
      weight: 1,
      zone,
      capabilities: [],
      metadata: new Map([[INTEREST_PATTERN, pattern]]),
      nodeId: id,
      registeredAtMs: 0,
      incarnation: 0n,
      revision: 0n,
    };
  }
}

function ending(): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NODE_ENDING', 'this process is about to end; subscribe at another node');
}
