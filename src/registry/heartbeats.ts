import type { Clock } from '../core/clock.js';
import type { Leases } from '../store/store.js';

export interface Heartbeat {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly ageMs: number;
}

/** What the store says of a lease is believed for so long. */
const CACHE_MS = 1_000;
/** A read does not wait longer for a store that does not answer: it tells what is known. */
const PATIENCE_MS = 250;
const MAX_LEASES = 100_000;

interface Known {
  readonly renewedAtMs: number;
  readonly checkedAtMs: number;
}

/**
 * When leases were last renewed. Nothing is written for a heartbeat: renewals that went through this registry are known
 * here, those through another replica follow from the life that the store says is left.
 */
export class Heartbeats {
  private readonly leasesKnown = new Map<bigint, Known>();
  /** Leases that the store is being asked about. */
  private readonly asking = new Set<bigint>();

  constructor(
    private readonly leases: Leases,
    private readonly clock: Clock,
  ) {}

  /** A lease was renewed through this registry, just now. */
  renewed(leaseId: bigint): void {
    const now = this.clock.monotonicMs();
    if (this.leasesKnown.size >= MAX_LEASES) this.leasesKnown.clear();
    this.leasesKnown.set(leaseId, { renewedAtMs: now, checkedAtMs: now });
  }

  forget(leaseId: bigint): void {
    this.leasesKnown.delete(leaseId);
  }

  /** Last renewals of these leases; a lease that is unknown, also to the store, is left out. Serves what is known while the store is away. */
  async of(leaseIds: Iterable<bigint>): Promise<ReadonlyMap<bigint, Heartbeat>> {
    const unique = [...new Set(leaseIds)];
    const refreshed = Promise.all(unique.map((leaseId) => this.refresh(leaseId)));
    await Promise.race([refreshed, new Promise<void>((resolve) => this.clock.after(PATIENCE_MS, resolve))]);
    const now = this.clock.monotonicMs();
    const wall = this.clock.now();
    return new Map(
      unique.flatMap((leaseId) => {
        const known = this.leasesKnown.get(leaseId);
        return known === undefined
          ? []
          : [[leaseId, { ageMs: now - known.renewedAtMs, atMs: wall - (now - known.renewedAtMs) }] as const];
      }),
    );
  }

  private async refresh(leaseId: bigint): Promise<void> {
    const known = this.leasesKnown.get(leaseId);
    if (known !== undefined && this.clock.monotonicMs() - known.checkedAtMs < CACHE_MS) return;
    if (this.asking.has(leaseId)) return;
    this.asking.add(leaseId);
    try {
      const life = await this.leases.timeToLive(leaseId);
      if (life === undefined) return this.forget(leaseId);
      const now = this.clock.monotonicMs();
      const renewedAtMs = now - (life.grantedSeconds - life.remainingSeconds) * 1000;
      // The store counts whole seconds: a renewal that was seen here is known better.
      this.leasesKnown.set(leaseId, { renewedAtMs: Math.max(renewedAtMs, known?.renewedAtMs ?? renewedAtMs), checkedAtMs: now });
    } catch {
      // The store is away: what was known stays, and grows old.
    } finally {
      this.asking.delete(leaseId);
    }
  }
}
