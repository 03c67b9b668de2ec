import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import { EventQueue } from '../core/event-queue.js';
import { fenceMarginMs } from '../core/fence.js';
import { type Instance, type InstanceKey, type InstanceStatus, instanceKeyText } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { KeepAliveRequest, MemberReport } from '../gen/troupe/v1/registry.js';
import { backoffMs } from '../resilience/backoff.js';
import { instanceToMessage, statusToMessage } from '../rpc/codec/instance.js';
import { durationFromMs, msFromDuration } from '../rpc/codec/time.js';
import type { Logger } from '../telemetry/logger.js';
import type { RegistryClient, RegistrySession } from './registry-session.js';

export type LeaseState =
  /** No lease yet, or none any more: it registers again by itself. */
  | { readonly kind: 'joining' }
  | { readonly kind: 'held'; readonly leaseId: bigint; readonly ttlMs: number; readonly fenceAtMs: number }
  | { readonly kind: 'released' };

export interface MembershipDeps {
  readonly registry: RegistrySession;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface MembershipOptions {
  /** Life of the lease. */
  readonly ttlMs: number;
  /** What registers first and alone is the process itself; its agents follow. */
  readonly self: Instance;
  /** An instance that cannot be registered again: its id was taken while this process was away. */
  readonly onTaken?: (key: InstanceKey) => void;
  /** How the process is, asked at each renewal; nothing is told when not given. */
  readonly report?: () => MemberReport;
}

/** In one registration at most, so that it fits into one transaction of the store. */
export const PUT_AT_ONCE = 100;
const RPC_TIMEOUT_MS = 5_000;
const BACKOFF = { initialMs: 100, capMs: 2_000 };
/** After an outage, all others have registered again within this: they try each 2 s at the latest. */
const RECOVERY_MS = 3_000;
/** Renewals in the life of a lease: two may be lost. */
const RENEWALS_PER_TTL = 3;

/**
 * A process's place in the cluster: one lease, and everything that hangs on it. Registers, renews, and registers again
 * when the lease was lost. `isFenced` turns true before the lease can have expired: at the time the last acknowledged
 * renewal was sent + ttl − margin, on the monotonic clock, which also holds right after the process was stopped for a while.
 */
export class Membership {
  private state: LeaseState = { kind: 'joining' };
  private readonly instances = new Map<string, Instance>();
  /** Removed here, but maybe not in the registry yet. */
  private readonly removalsDue = new Map<string, InstanceKey>();
  private statusIsDue = false;
  private everJoined = false;
  private lost = 0;
  private unanswered = false;
  private answeredAgainAtMs = Number.NEGATIVE_INFINITY;
  private readonly leaving = new AbortController();

  /** Resolves when the process is registered for the first time. */
  readonly joined: Promise<void>;
  private onJoined: () => void = () => undefined;

  constructor(
    private readonly deps: MembershipDeps,
    private readonly options: MembershipOptions,
  ) {
    this.joined = new Promise((resolve) => {
      this.onJoined = resolve;
    });
    this.instances.set(instanceKeyText(options.self), options.self);
  }

  get lease(): LeaseState {
    return this.state;
  }

  /** Time since the last renewal that was acknowledged was sent; undefined without a lease. */
  get leaseAgeMs(): number | undefined {
    const { state } = this;
    if (state.kind !== 'held') return undefined;
    return this.deps.clock.monotonicMs() - (state.fenceAtMs - state.ttlMs + fenceMarginMs(state.ttlMs));
  }

  /** Leases that ended before they were given back. */
  get leasesLost(): number {
    return this.lost;
  }

  /** Whether the process must act as if its lease were gone. */
  get isFenced(): boolean {
    return this.state.kind !== 'held' || this.deps.clock.monotonicMs() >= this.state.fenceAtMs;
  }

  /** Whether the registry did not answer when it was last asked: known well before the lease can have expired. */
  get isCutOff(): boolean {
    return this.unanswered;
  }

  /** Whether the registry does not answer, or has only just begun to again: not everybody is back in it yet. */
  get isRecovering(): boolean {
    return this.unanswered || this.deps.clock.monotonicMs() - this.answeredAgainAtMs < RECOVERY_MS;
  }

  /** The process itself as last registered. */
  get self(): Instance {
    return this.instances.get(instanceKeyText(this.options.self)) ?? this.options.self;
  }

  /** Joins and stays, until `until` aborts or the lease is released. */
  async run(until: AbortSignal): Promise<void> {
    const { registry, logger } = this.deps;
    const signal = AbortSignal.any([until, this.leaving.signal]);
    let failures = 0;
    while (!signal.aborted) {
      const { client, address } = registry;
      try {
        const leaseId = this.state.kind === 'held' ? this.state.leaseId : await this.join(client, signal);
        this.everJoined = true;
        this.onJoined();
        await this.keepAlive(client, leaseId, signal, () => {
          failures = 0;
          this.answered();
        });
      } catch (error) {
        if (signal.aborted) return;
        if (isTroupeError(error, 'LEASE_NOT_FOUND')) {
          logger.warn('lease lost; registering again');
          this.lost += 1;
          this.state = { kind: 'joining' };
          continue;
        }
        failures += 1;
        this.unanswered = isUnanswered(error);
        if (isTroupeError(error, 'ALREADY_REGISTERED')) {
          if (failures === 1) logger.warn('the id is taken; trying on until it is free', { reason: messageOf(error) });
          await delay(Math.min(error.retryAfterMs ?? 1_000, 1_000), signal, this.deps.clock).catch(() => undefined);
          continue;
        }
        if (isNews(failures, this.everJoined))
          logger.warn('registry not reached; trying on', { registry: address, reason: messageOf(error) });
        registry.turnFrom(client);
        await delay(backoffMs(failures, BACKOFF, this.deps.random), signal, this.deps.clock).catch(() => undefined);
      }
    }
  }

  /** Registers an instance and keeps it registered. @throws UNAVAILABLE / NOT_JOINED without a lease, ALREADY_EXISTS, or what the registry says. */
  put(instance: Instance): Promise<void> {
    return this.putAll([instance]);
  }

  /** Registers at most 100 instances, all or none, and keeps them registered. @throws as `put`. */
  async putAll(instances: readonly Instance[]): Promise<void> {
    const leaseId = this.requireLease();
    const messages = instances.map((instance) => instanceToMessage(instance));
    try {
      await this.call((client) => client.register({ instances: messages, leaseId }, { timeoutMs: RPC_TIMEOUT_MS }));
    } catch (error) {
      // Without an answer they may be registered all the same.
      if (isUnanswered(error)) {
        for (const instance of instances) {
          const text = instanceKeyText(instance);
          if (!this.instances.has(text)) this.removalsDue.set(text, instance);
        }
      }
      throw error;
    }
    // They went with the lease, and are not among what was registered under the next one.
    if (this.requireLease() !== leaseId) throw notJoined();
    for (const instance of instances) {
      const text = instanceKeyText(instance);
      this.removalsDue.delete(text);
      this.instances.set(text, instance);
    }
  }

  /** Removes instances and forgets them, now or, while the registry is away, with the next renewal that succeeds. @throws what the registry says. */
  async remove(keys: readonly InstanceKey[]): Promise<void> {
    for (const key of keys) {
      this.instances.delete(instanceKeyText(key));
      this.removalsDue.set(instanceKeyText(key), key);
    }
    await this.writeRemovals();
  }

  /** Changes the status of the process itself, now or, while the registry is away, with the next renewal that succeeds. */
  async setStatus(status: InstanceStatus): Promise<void> {
    const { self } = this;
    this.instances.set(instanceKeyText(self), { ...self, status });
    this.statusIsDue = true;
    await this.writeStatus();
  }

  /** Gives the lease back: everything that hangs on it is gone at once. `run` ends. */
  async release(): Promise<void> {
    const { state } = this;
    this.leaving.abort();
    this.state = { kind: 'released' };
    if (state.kind !== 'held') return;
    try {
      await this.call((client) => client.deregister({ leaseId: state.leaseId }, { timeoutMs: RPC_TIMEOUT_MS }));
    } catch (error) {
      this.deps.logger.warn('could not deregister; the lease will expire', { reason: messageOf(error) });
    }
  }

  private answered(): void {
    if (this.unanswered) this.answeredAgainAtMs = this.deps.clock.monotonicMs();
    this.unanswered = false;
  }

  private async writeStatus(): Promise<void> {
    if (!this.statusIsDue || this.state.kind !== 'held') return;
    const { service, id, status } = this.self;
    const { leaseId } = this.state;
    this.statusIsDue = false;
    try {
      await this.call((client) =>
        client.updateInstance({ key: { service, id }, leaseId, status: statusToMessage(status) }, { timeoutMs: RPC_TIMEOUT_MS }),
      );
    } catch (error) {
      this.statusIsDue = true;
      this.deps.logger.warn('status not written yet', { status, reason: messageOf(error) });
    }
  }

  private async writeRemovals(): Promise<void> {
    const due = [...this.removalsDue.values()];
    for (let from = 0; from < due.length; from += PUT_AT_ONCE) await this.deregister(due.slice(from, from + PUT_AT_ONCE));
  }

  private async deregister(keys: readonly InstanceKey[]): Promise<void> {
    const { state } = this;
    if (state.kind !== 'held') return;
    const instances = keys.map(({ service, id }) => ({ service, id }));
    try {
      await this.call((client) => client.deregister({ leaseId: state.leaseId, instances }, { timeoutMs: RPC_TIMEOUT_MS }));
    } catch (error) {
      if (!isTroupeError(error, 'NOT_THE_HOLDER')) throw error;
      // One of them is somebody else's by now.
      if (keys.length > 1) for (const key of keys) await this.deregister([key]);
    }
    for (const key of keys) this.removalsDue.delete(instanceKeyText(key));
  }

  /** Makes up for what could not be written while the registry was away, or while this process was about to join. */
  private async catchUp(): Promise<void> {
    await this.writeStatus();
    await this.writeRemovals().catch((error: unknown) =>
      this.deps.logger.warn('instances not deregistered yet', { reason: messageOf(error) }),
    );
  }

  private requireLease(): bigint {
    if (this.state.kind === 'held') return this.state.leaseId;
    throw notJoined();
  }

  private async call<T>(send: (client: RegistryClient) => Promise<T>): Promise<T> {
    const { client } = this.deps.registry;
    try {
      return await send(client);
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      this.deps.registry.turnFrom(client);
      if (error.reason !== error.code) throw error;
      throw new TroupeError('UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'the registry is not reached now; try again', {
        retryAfterMs: 1_000,
        cause: error,
      });
    }
  }

  private async join(client: RegistryClient, signal: AbortSignal): Promise<bigint> {
    const { clock, logger } = this.deps;
    const sentAtMs = clock.monotonicMs();
    const [self, ...others] = [...this.instances.values()];
    const first = await client.register(
      { instances: self === undefined ? [] : [instanceToMessage(self)], ttl: durationFromMs(this.options.ttlMs) },
      { timeoutMs: RPC_TIMEOUT_MS, signal },
    );
    const ttlMs = first.ttl === undefined ? this.options.ttlMs : msFromDuration(first.ttl);
    for (let from = 0; from < others.length; from += PUT_AT_ONCE)
      await this.rejoin(client, first.leaseId, others.slice(from, from + PUT_AT_ONCE), signal);
    this.hold(first.leaseId, ttlMs, sentAtMs);
    logger.info('registered', {
      registry: this.deps.registry.address,
      lease: String(first.leaseId),
      instances: this.instances.size,
    });
    return first.leaseId;
  }

  /** Registers what was registered before. What somebody else has taken meanwhile is given up. */
  private async rejoin(client: RegistryClient, leaseId: bigint, batch: readonly Instance[], signal: AbortSignal): Promise<void> {
    try {
      await client.register(
        { instances: batch.map((instance) => instanceToMessage(instance)), leaseId },
        { timeoutMs: RPC_TIMEOUT_MS, signal },
      );
    } catch (error) {
      if (!isTroupeError(error, 'ALREADY_REGISTERED')) throw error;
      const taken = batch.find(({ service, id }) => service === error.metadata.service && id === error.metadata.id);
      if (taken === undefined) throw error;
      this.instances.delete(instanceKeyText(taken));
      this.options.onTaken?.(taken);
      const others = batch.filter((instance) => instance !== taken);
      if (others.length > 0) await this.rejoin(client, leaseId, others, signal);
    }
  }

  /** Renews until something goes wrong, and throws that. */
  private async keepAlive(client: RegistryClient, leaseId: bigint, signal: AbortSignal, onRenewed: () => void): Promise<void> {
    const { clock } = this.deps;
    const requests = new EventQueue<KeepAliveRequest>(
      RENEWALS_PER_TTL * 4,
      () => new TroupeError('UNAVAILABLE', 'REGISTRY_SLOW', 'the registry does not read'),
    );
    const controller = new AbortController();
    const stop = () => controller.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const sent = { sequence: 0n, atMs: 0 };
    let cancelTimer: () => void = () => undefined;
    const renew = () => {
      sent.sequence += 1n;
      sent.atMs = clock.monotonicMs();
      requests.push({ leaseId, sequence: sent.sequence, report: this.options.report?.() });
      const patienceMs = this.options.ttlMs / RENEWALS_PER_TTL;
      cancelTimer = clock.after(patienceMs, () =>
        controller.abort(new TroupeError('UNAVAILABLE', 'REGISTRY_SILENT', 'the registry did not acknowledge a renewal')),
      );
    };
    try {
      renew();
      for await (const answer of client.keepAlive(requests, { signal: controller.signal })) {
        if (answer.sequence !== sent.sequence) continue;
        cancelTimer();
        onRenewed();
        const ttlMs = answer.ttl === undefined ? this.options.ttlMs : msFromDuration(answer.ttl);
        this.hold(leaseId, ttlMs, sent.atMs);
        void this.catchUp();
        const jitter = 0.9 + this.deps.random.next() * 0.1;
        cancelTimer = clock.after((ttlMs / RENEWALS_PER_TTL) * jitter, renew);
      }
      throw new TroupeError('UNAVAILABLE', 'REGISTRY_CLOSED', 'the registry ended the keep-alive stream');
    } finally {
      cancelTimer();
      requests.close();
      signal.removeEventListener('abort', stop);
    }
  }

  private hold(leaseId: bigint, ttlMs: number, sentAtMs: number): void {
    if (this.state.kind === 'released') return;
    this.state = { kind: 'held', leaseId, ttlMs, fenceAtMs: sentAtMs + ttlMs - fenceMarginMs(ttlMs) };
  }
}

function notJoined(): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NOT_JOINED', 'this process holds no lease now: the registry is not reached; try again', {
    retryAfterMs: 1_000,
  });
}

/** Who loses the registry is told at once; who has just started may have been faster than the registry, which is no news for a second or two. */
function isNews(failures: number, everJoined: boolean): boolean {
  return failures === (everJoined ? 1 : 5);
}

function isUnanswered(error: unknown): error is TroupeError {
  return isTroupeError(error) && (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED');
}
