import { type Clock, MAX_TIMER_MS } from '../core/clock.js';
import { type Random, randomInt } from '../core/random.js';
import { leaseNotFound } from './store-errors.js';

interface Lease {
  readonly leaseId: bigint;
  readonly ttlSeconds: number;
  expiresAtMs: number;
  readonly keys: Set<string>;
}

/**
 * The leases of a memory store and the keys that hang on them, by the monotonic clock. One timer serves all of them; who
 * reads calls `expireDue` first, so a timer that comes late (a blocked event loop) changes nothing.
 */
export class MemoryLeases {
  private readonly leases = new Map<bigint, Lease>();
  /** No lease ends before this. */
  private nextMs = Number.POSITIVE_INFINITY;
  private cancelTimer: () => void = () => undefined;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    /** Removes a lease's keys, all in one revision. */
    private readonly onGone: (keys: readonly string[]) => void,
  ) {}

  grant(ttlSeconds: number): bigint {
    const lease = { leaseId: this.newId(), ttlSeconds, expiresAtMs: this.endOf(ttlSeconds), keys: new Set<string>() };
    this.leases.set(lease.leaseId, lease);
    if (lease.expiresAtMs < this.nextMs) this.arm(lease.expiresAtMs);
    return lease.leaseId;
  }

  /** @throws TroupeError NOT_FOUND / LEASE_NOT_FOUND */
  renew(leaseId: bigint): number {
    const lease = this.find(leaseId);
    if (lease === undefined) throw leaseNotFound(leaseId);
    lease.expiresAtMs = this.endOf(lease.ttlSeconds);
    return lease.ttlSeconds;
  }

  revoke(leaseId: bigint): void {
    const lease = this.find(leaseId);
    if (lease !== undefined) this.end(lease);
  }

  timeToLive(leaseId: bigint): { remainingSeconds: number; grantedSeconds: number } | undefined {
    const lease = this.find(leaseId);
    if (lease === undefined) return undefined;
    const remainingSeconds = Math.floor((lease.expiresAtMs - this.clock.monotonicMs()) / 1_000);
    return { remainingSeconds, grantedSeconds: lease.ttlSeconds };
  }

  has(leaseId: bigint): boolean {
    return this.find(leaseId) !== undefined;
  }

  attach(leaseId: bigint, key: string): void {
    this.leases.get(leaseId)?.keys.add(key);
  }

  detach(leaseId: bigint, key: string): void {
    this.leases.get(leaseId)?.keys.delete(key);
  }

  /** Ends every lease whose time has come. */
  expireDue(): void {
    const now = this.clock.monotonicMs();
    if (now < this.nextMs) return;
    for (const lease of this.leases.values()) if (lease.expiresAtMs <= now) this.end(lease);
    let next = Number.POSITIVE_INFINITY;
    for (const { expiresAtMs } of this.leases.values()) next = Math.min(next, expiresAtMs);
    this.arm(next);
  }

  close(): void {
    this.cancelTimer();
    this.nextMs = Number.POSITIVE_INFINITY;
    this.leases.clear();
  }

  private find(leaseId: bigint): Lease | undefined {
    this.expireDue();
    return this.leases.get(leaseId);
  }

  private end(lease: Lease): void {
    this.leases.delete(lease.leaseId);
    this.onGone([...lease.keys]);
  }

  private arm(atMs: number): void {
    this.cancelTimer();
    this.nextMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(Math.max(atMs - this.clock.monotonicMs(), 0), MAX_TIMER_MS);
    this.cancelTimer = this.clock.after(Math.ceil(delayMs), () => this.onTimer());
  }

  private onTimer(): void {
    if (this.clock.monotonicMs() < this.nextMs) this.arm(this.nextMs);
    else this.expireDue();
  }

  private endOf(ttlSeconds: number): number {
    return this.clock.monotonicMs() + ttlSeconds * 1_000;
  }

  /** By chance, so that an id from before a restart does not name someone else's lease. */
  private newId(): bigint {
    for (;;) {
      const id = (BigInt(randomInt(this.random, 2 ** 30)) << 32n) | BigInt(randomInt(this.random, 2 ** 32));
      if (id !== 0n && !this.leases.has(id)) return id;
    }
  }
}
