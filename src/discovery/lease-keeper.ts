import { childController, delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import { EventQueue } from '../core/event-queue.js';
import { fenceMarginMs } from '../core/fence.js';
import type { Instance } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { KeepAliveRequest, MemberReport } from '../gen/troupe/v1/registry.js';
import { backoffMs } from '../resilience/backoff.js';
import { instanceToMessage } from '../rpc/codec/instance.js';
import { durationFromMs, msFromDuration } from '../rpc/codec/time.js';
import type { Logger } from '../telemetry/logger.js';
import { type RegistryClient, type RegistrySession, RPC_TIMEOUT_MS } from './registry-session.js';

export type LeaseState =
  /** No lease yet, or none any more: it registers again by itself. */
  | { readonly kind: 'joining' }
  | { readonly kind: 'held'; readonly leaseId: bigint; readonly ttlMs: number; readonly fenceAtMs: number }
  | { readonly kind: 'released' };

export interface LeaseDeps {
  readonly registry: RegistrySession;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface LeaseOptions {
  /** Life of the lease. */
  readonly ttlMs: number;
  /** How the process is, asked at each renewal; nothing is told when not given. */
  readonly report?: () => MemberReport;
}

export interface LeaseHandlers {
  /** The process as it registers now: with that the lease begins. */
  self(): Instance;
  /** There is a lease, and `registered` hangs on it. */
  granted(leaseId: bigint, registered: Instance): void;
  renewed(): void;
  /** The lease is gone, with all that hung on it. */
  gone(): void;
}

const BACKOFF = { initialMs: 100, capMs: 2_000 };
/** After an outage, all others have registered again within this: they try each 2 s at the latest. */
const RECOVERY_MS = 3_000;
/** Renewals in the life of a lease: two may be lost. */
const RENEWALS_PER_TTL = 3;

/**
 * Keeps a process's one lease: gets it by registering the process, renews it, and gets another when it was lost. `isFenced` turns true before
 * the lease can have expired: at the time the last acknowledged renewal was sent + ttl − margin, on the monotonic clock, which also holds right
 * after the process was stopped for a while.
 */
export class LeaseKeeper {
  private current: LeaseState = { kind: 'joining' };
  private everHeld = false;
  private lost = 0;
  private unanswered = false;
  private answeredAgainAtMs = Number.NEGATIVE_INFINITY;
  private renewing: AbortController | undefined;
  private readonly leaving = new AbortController();

  constructor(
    private readonly deps: LeaseDeps,
    private readonly options: LeaseOptions,
    private readonly handlers: LeaseHandlers,
  ) {}

  get state(): LeaseState {
    return this.current;
  }

  /** Leases that ended before they were given back. */
  get leasesLost(): number {
    return this.lost;
  }

  /** Whether the process must act as if its lease were gone. */
  get isFenced(): boolean {
    return this.current.kind !== 'held' || this.deps.clock.monotonicMs() >= this.current.fenceAtMs;
  }

  /** Whether the registry did not answer when it was last asked. */
  get isCutOff(): boolean {
    return this.unanswered;
  }

  /** Whether the registry does not answer, or has only just begun to again. */
  get isRecovering(): boolean {
    return this.unanswered || this.deps.clock.monotonicMs() - this.answeredAgainAtMs < RECOVERY_MS;
  }

  /** Until `until` aborts or the lease is released. */
  async run(until: AbortSignal): Promise<void> {
    const { registry, logger } = this.deps;
    const signal = AbortSignal.any([until, this.leaving.signal]);
    let failures = 0;
    while (!signal.aborted) {
      const { client, address } = registry;
      try {
        const leaseId = this.current.kind === 'held' ? this.current.leaseId : await this.join(client, signal);
        await this.keepAlive(client, leaseId, signal, () => {
          failures = 0;
          this.answered();
        });
      } catch (error) {
        if (signal.aborted) return;
        if (isTroupeError(error, 'LEASE_NOT_FOUND')) {
          this.lose();
          continue;
        }
        failures += 1;
        this.unanswered = isUnanswered(error);
        if (isTroupeError(error, 'ALREADY_REGISTERED')) {
          if (failures === 1) logger.warn('the id is taken; trying on until it is free', { reason: messageOf(error) });
          await delay(Math.min(error.retryAfterMs ?? 1_000, 1_000), signal, this.deps.clock).catch(() => undefined);
          continue;
        }
        if (isNews(failures, this.everHeld))
          logger.warn('registry not reached; trying on', { registry: address, reason: messageOf(error) });
        registry.turnFrom(client);
        await delay(backoffMs(failures, BACKOFF, this.deps.random), signal, this.deps.clock).catch(() => undefined);
      }
    }
  }

  /** Somebody else heard from the registry that this lease is gone. */
  heardGone(leaseId: bigint): void {
    if (this.current.kind !== 'held' || this.current.leaseId !== leaseId) return;
    this.lose();
    this.renewing?.abort(new TroupeError('NOT_FOUND', 'LEASE_NOT_FOUND', `lease ${leaseId} is gone`));
  }

  /** Gives the lease back: everything that hangs on it is gone at once. `run` ends. */
  async release(): Promise<void> {
    const { current } = this;
    const { client } = this.deps.registry;
    this.leaving.abort();
    this.current = { kind: 'released' };
    if (current.kind !== 'held') return;
    this.handlers.gone();
    try {
      await client.deregister({ leaseId: current.leaseId }, { timeoutMs: RPC_TIMEOUT_MS });
    } catch (error) {
      this.deps.logger.warn('could not deregister; the lease will expire', { reason: messageOf(error) });
    }
  }

  private answered(): void {
    if (this.unanswered) this.answeredAgainAtMs = this.deps.clock.monotonicMs();
    this.unanswered = false;
  }

  private lose(): void {
    if (this.current.kind !== 'held') return;
    this.deps.logger.warn('lease lost; registering again');
    this.lost += 1;
    this.current = { kind: 'joining' };
    this.handlers.gone();
  }

  private async join(client: RegistryClient, signal: AbortSignal): Promise<bigint> {
    const sentAtMs = this.deps.clock.monotonicMs();
    const self = this.handlers.self();
    const { leaseId, ttl } = await client.register(
      { instances: [instanceToMessage(self)], ttl: durationFromMs(this.options.ttlMs) },
      { timeoutMs: RPC_TIMEOUT_MS, signal },
    );
    if (signal.aborted) return leaseId;
    this.hold(leaseId, ttl === undefined ? this.options.ttlMs : msFromDuration(ttl), sentAtMs);
    this.everHeld = true;
    this.handlers.granted(leaseId, self);
    return leaseId;
  }

  /** Renews until something goes wrong, and throws that. */
  private async keepAlive(client: RegistryClient, leaseId: bigint, signal: AbortSignal, onRenewed: () => void): Promise<void> {
    const { clock } = this.deps;
    const requests = new EventQueue<KeepAliveRequest>(
      RENEWALS_PER_TTL * 4,
      () => new TroupeError('UNAVAILABLE', 'REGISTRY_SLOW', 'the registry does not read'),
    );
    const { controller, release } = childController(signal);
    this.renewing = controller;
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
        if (answer.sequence !== sent.sequence || controller.signal.aborted) continue;
        cancelTimer();
        onRenewed();
        const ttlMs = answer.ttl === undefined ? this.options.ttlMs : msFromDuration(answer.ttl);
        this.hold(leaseId, ttlMs, sent.atMs);
        this.handlers.renewed();
        const jitter = 0.9 + this.deps.random.next() * 0.1;
        cancelTimer = clock.after((ttlMs / RENEWALS_PER_TTL) * jitter, renew);
      }
      throw new TroupeError('UNAVAILABLE', 'REGISTRY_CLOSED', 'the registry ended the keep-alive stream');
    } finally {
      cancelTimer();
      requests.close();
      this.renewing = undefined;
      release();
    }
  }

  private hold(leaseId: bigint, ttlMs: number, sentAtMs: number): void {
    this.current = { kind: 'held', leaseId, ttlMs, fenceAtMs: sentAtMs + ttlMs - fenceMarginMs(ttlMs) };
  }
}

/** Who loses the registry is told at once; who has just started may have been faster than the registry, which is no news for a second or two. */
function isNews(failures: number, everHeld: boolean): boolean {
  return failures === (everHeld ? 1 : 5);
}

function isUnanswered(error: unknown): boolean {
  return isTroupeError(error) && (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED');
}
