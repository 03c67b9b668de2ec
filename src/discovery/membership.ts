import { fenceMarginMs } from '../core/fence.js';
import type { Instance, InstanceKey, InstanceStatus } from '../core/instance.js';
import { runGroup } from '../core/run-group.js';
import { type LeaseDeps, LeaseKeeper, type LeaseOptions, type LeaseState } from './lease-keeper.js';
import { notJoined } from './not-joined.js';
import type { Asker } from './registration.js';
import { RegistrationWriter } from './registration-writer.js';
import { Registrations } from './registrations.js';

export interface MembershipOptions extends LeaseOptions {
  /** What registers first and alone is the process itself; its agents follow. */
  readonly self: Instance;
  /** An instance that cannot be registered again: its id was taken while this process was away. */
  readonly onTaken?: (key: InstanceKey) => void;
}

/**
 * A process's place in the cluster: one lease, and everything that hangs on it. Registers, renews, and registers all of it again when the lease
 * was lost. What is put, removed and changed here is what shall be in the registry: it is written there one call after the other, until it is.
 */
export class Membership {
  private readonly registrations: Registrations;
  private readonly keeper: LeaseKeeper;
  private readonly writer: RegistrationWriter;
  private restoredLease: bigint | undefined;

  /** Resolves when the process is registered for the first time. */
  readonly joined: Promise<void>;
  private onJoined: () => void = () => undefined;

  constructor(
    private readonly deps: LeaseDeps,
    { self, onTaken, ...options }: MembershipOptions,
  ) {
    this.joined = new Promise((resolve) => {
      this.onJoined = resolve;
    });
    const registrations = new Registrations(self, onTaken);
    this.registrations = registrations;
    this.writer = new RegistrationWriter(deps, registrations, {
      written: () => this.lookRestored(),
      leaseGone: (leaseId) => this.keeper.heardGone(leaseId),
    });
    this.keeper = new LeaseKeeper(deps, options, {
      self: () => registrations.self,
      granted: (leaseId, registered) => {
        registrations.begin(leaseId, registered);
        this.lookRestored();
        this.writer.wake();
      },
      renewed: () => this.writer.wake(),
      gone: () => {
        registrations.end();
        this.writer.drop();
      },
    });
  }

  /** Held once everything that hung on the last one hangs on it. */
  get lease(): LeaseState {
    const { state } = this.keeper;
    return state.kind === 'held' && !this.registrations.isRestored ? { kind: 'joining' } : state;
  }

  /** Time since the last renewal that was acknowledged was sent; undefined without a lease. */
  get leaseAgeMs(): number | undefined {
    const { lease } = this;
    if (lease.kind !== 'held') return undefined;
    return this.deps.clock.monotonicMs() - (lease.fenceAtMs - lease.ttlMs + fenceMarginMs(lease.ttlMs));
  }

  /** Leases that ended before they were given back. */
  get leasesLost(): number {
    return this.keeper.leasesLost;
  }

  /** Whether the process must act as if its lease were gone. */
  get isFenced(): boolean {
    return this.keeper.isFenced || !this.registrations.isRestored;
  }

  /** Whether the registry did not answer when it was last asked: known well before the lease can have expired. */
  get isCutOff(): boolean {
    return this.keeper.isCutOff;
  }

  /** Whether the registry does not answer, or has only just begun to again: not everybody is back in it yet. */
  get isRecovering(): boolean {
    return this.keeper.isRecovering;
  }

  /** The process itself, as it shall be registered. */
  get self(): Instance {
    return this.registrations.self;
  }

  /** Joins and stays, until `until` aborts or the lease is released. */
  async run(until: AbortSignal): Promise<void> {
    try {
      await runGroup([(each) => this.keeper.run(each), (each) => this.writer.run(each)], until);
    } finally {
      this.registrations.end();
    }
  }

  /**
   * Registers an instance and keeps it registered. @throws UNAVAILABLE / NOT_JOINED without a lease, ALREADY_EXISTS, ABORTED / WITHDRAWN where it
   * is removed before it is registered, or what the registry says.
   */
  put(instance: Instance): Promise<void> {
    return this.putAll([instance]);
  }

  /** Registers at most 100 instances, all or none, and keeps them registered; of those with one key, the last. @throws as `put`. */
  putAll(instances: readonly Instance[]): Promise<void> {
    return this.ask((asker) => {
      if (this.isFenced) throw notJoined();
      this.registrations.want(instances, asker);
    });
  }

  /** Removes instances and forgets them, now or, while the registry is away, as soon as it can be. @throws why it could not be done now. */
  remove(keys: readonly InstanceKey[]): Promise<void> {
    return this.ask((asker) => this.registrations.unwant(keys, asker));
  }

  /** Changes the status of the process itself, now or, while the registry is away, as soon as it can be. One that may not follow is ignored. */
  async setStatus(status: InstanceStatus): Promise<void> {
    await this.ask((asker) => this.registrations.become(status, asker)).catch(() => undefined);
  }

  /** Gives the lease back: everything that hangs on it is gone at once. `run` ends. */
  release(): Promise<void> {
    return this.keeper.release();
  }

  private ask(change: (asker: Asker) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      change({ done: resolve, failed: reject });
      this.writer.wake();
    });
  }

  private lookRestored(): void {
    const { lease, registrations } = this;
    if (lease.kind !== 'held' || lease.leaseId === this.restoredLease) return;
    this.restoredLease = lease.leaseId;
    const { registry, logger } = this.deps;
    logger.info('registered', { registry: registry.address, lease: String(lease.leaseId), instances: registrations.size });
    this.onJoined();
  }
}
