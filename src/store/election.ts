import { childController, delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError, messageOf } from '../core/errors.js';
import { fenceMarginMs } from '../core/fence.js';
import type { Random } from '../core/random.js';
import { runGroup } from '../core/run-group.js';
import { type BackoffPolicy, backoffMs } from '../resilience/backoff.js';
import type { Logger } from '../telemetry/logger.js';
import type { Condition, Store } from './store.js';

export interface ElectionDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ElectionOptions {
  /** The key that the leader holds. */
  readonly key: string;
  /** Who campaigns: the value of the key, for people. */
  readonly candidate: string;
  /** Life of the leader's lease; 5 s when not given: etcd lets none live for less than 2 s unless it is configured otherwise. */
  readonly ttlSeconds?: number | undefined;
}

/** From winning an election to losing it. */
export interface Term {
  /**
   * Holds while the key is this leader's own. A part of every transaction of the leader: then what one that was stopped for a while,
   * and does not know yet that its time is over, would still write is refused (a fencing token, as Chubby's sequencers).
   */
  readonly token: Condition;
  /** Aborts before the lease can have expired, or when the term ends for another reason. */
  readonly signal: AbortSignal;
}

type Standing =
  | { readonly kind: 'campaigning' }
  | { readonly kind: 'leading'; readonly token: Condition; readonly leaseId: bigint; readonly fenceAtMs: number };

type Leading = Extract<Standing, { readonly kind: 'leading' }>;

const DEFAULT_TTL_SECONDS = 5;
/** As for the leases of members: two renewals may be lost. */
const RENEWALS_PER_TTL = 3;
/** A renewal that failed is tried again after this, until the fence. */
const RENEW_AGAIN_MS = 250;
/** Who waited for the key to go waits up to so long more, so that not all of them ask at once. */
const JITTER_MS = 200;
/** A resignation that the store does not answer is left to the lease. */
const RESIGN_MS = 1_000;
const BACKOFF: BackoffPolicy = { initialMs: 100, capMs: 1_000 };

/**
 * Chooses one leader among those that campaign for a key of the store: whoever puts it first, under a lease that it renews. The others
 * watch the key and campaign when it has gone. There may be moments with no leader, and moments in which one that was stopped takes
 * itself for one; writes that carry the token come from one alone.
 */
export class Election {
  private standing: Standing = { kind: 'campaigning' };
  /** In a row: since the store last answered somebody who does not lead, or work of a leader last ended well. */
  private failures = 0;

  constructor(
    private readonly deps: ElectionDeps,
    private readonly options: ElectionOptions,
  ) {}

  /** By the monotonic clock, so it turns false in time also where the process was stopped. */
  get isLeading(): boolean {
    return this.standing.kind === 'leading' && this.deps.clock.monotonicMs() < this.standing.fenceAtMs;
  }

  /**
   * Campaigns, does `lead` for each term that it wins, and campaigns again, until `signal` aborts; then it resigns, so that a successor
   * need not wait for the lease. `lead` ends soon after its term's signal aborts: before that nobody here campaigns again.
   */
  async run(lead: (term: Term) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.deps;
    while (!signal.aborted) {
      try {
        const won = await this.campaign(signal);
        if (won !== undefined) await this.serve(won, lead, signal);
        this.failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.failures += 1;
        if (this.failures === 1)
          logger.warn('the election, or the work of its leader, failed; trying on', { reason: messageOf(error) });
        await delay(backoffMs(this.failures, BACKOFF, random), signal, clock).catch(() => undefined);
      }
    }
  }

  /** Waits until nobody leads and claims the key; undefined when somebody else was faster. */
  private async campaign(signal: AbortSignal): Promise<Leading | undefined> {
    const { clock, random } = this.deps;
    if (await this.hasWaited(signal)) await delay(random.next() * JITTER_MS, signal, clock);
    return this.claim(signal);
  }

  /** Resolves when the key is not there; true when it was. */
  private async hasWaited(signal: AbortSignal): Promise<boolean> {
    const { store } = this.deps;
    const { key } = this.options;
    const { entries, revision } = await store.list(key, signal);
    if (!entries.some((entry) => entry.key === key)) return false;
    for await (const event of store.watch(key, { afterRevision: revision, signal })) {
      this.failures = 0;
      if (event.kind === 'changes' && event.changes.some((change) => change.kind === 'delete' && change.key === key)) break;
    }
    return true;
  }

  private async claim(signal: AbortSignal): Promise<Leading | undefined> {
    const { store, clock } = this.deps;
    const { key, candidate, ttlSeconds: wanted = DEFAULT_TTL_SECONDS } = this.options;
    const sentAtMs = clock.monotonicMs();
    const { leaseId, ttlSeconds } = await store.leases.grant(wanted, signal);
    let revision: bigint | undefined;
    try {
      const result = await store.txn(
        [{ key, modRevision: 0n }],
        [{ kind: 'put', key, value: Buffer.from(candidate), leaseId }],
        signal,
      );
      if (result.applied) revision = result.revision;
    } finally {
      // Without an answer the key may be there all the same.
      if (revision === undefined) await this.giveBack(leaseId);
    }
    if (revision === undefined) return undefined;
    return { kind: 'leading', token: { key, modRevision: revision }, leaseId, fenceAtMs: fenceAt(sentAtMs, ttlSeconds) };
  }

  private async serve(won: Leading, lead: (term: Term) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { logger } = this.deps;
    const term = String(won.token.modRevision);
    this.standing = won;
    logger.info('leading', { term });
    try {
      await runGroup([(each) => this.keep(won, each), (each) => lead({ token: won.token, signal: each })], signal);
    } finally {
      this.standing = { kind: 'campaigning' };
      await this.giveBack(won.leaseId);
      logger.info('no longer leading', { term });
    }
  }

  /** Renews the lease until `signal` aborts, the fence is reached, or the key is no longer this leader's. */
  private async keep(won: Leading, signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.deps;
    let { fenceAtMs } = won;
    let pauseMs = (fenceAtMs - clock.monotonicMs()) / RENEWALS_PER_TTL;
    for (;;) {
      await delay(Math.min(pauseMs, fenceAtMs - clock.monotonicMs()), signal, clock).catch(() => undefined);
      if (signal.aborted) return;
      const renewal = await this.renew(won, fenceAtMs, signal);
      if (signal.aborted) return;
      if (renewal.kind === 'lost') {
        logger.warn('leadership lost', { reason: renewal.reason });
        return;
      }
      if (renewal.kind === 'renewed') {
        fenceAtMs = renewal.fenceAtMs;
        this.standing = { ...won, fenceAtMs };
        pauseMs = (renewal.ttlMs / RENEWALS_PER_TTL) * (0.9 + random.next() * 0.1);
      } else pauseMs = RENEW_AGAIN_MS;
    }
  }

  private async renew({ leaseId, token }: Leading, fenceAtMs: number, signal: AbortSignal): Promise<Renewal> {
    const { store, clock } = this.deps;
    const sentAtMs = clock.monotonicMs();
    const { controller: patience, release } = childController(signal);
    const cancel = clock.after(fenceAtMs - sentAtMs, () => patience.abort());
    try {
      if (sentAtMs >= fenceAtMs) return FENCED;
      const ttlSeconds = await store.leases.renew(leaseId, patience.signal);
      // The key can go though its lease lives: by hand, or with a backup that is put back.
      const entry = await store.get(token.key, patience.signal);
      if (entry?.modRevision !== token.modRevision) return { kind: 'lost', reason: 'the key is no longer this leader’s' };
      return { kind: 'renewed', ttlMs: ttlSeconds * 1000, fenceAtMs: fenceAt(sentAtMs, ttlSeconds) };
    } catch (error) {
      if (isTroupeError(error, 'LEASE_NOT_FOUND')) return { kind: 'lost', reason: 'the lease is gone' };
      return clock.monotonicMs() >= fenceAtMs ? FENCED : { kind: 'unanswered' };
    } finally {
      cancel();
      release();
    }
  }

  /** Ends a lease, and with it what hangs on it. Never throws: what does not succeed, the lease's own end does. */
  private async giveBack(leaseId: bigint): Promise<void> {
    const { store, clock } = this.deps;
    const patience = new AbortController();
    const cancel = clock.after(RESIGN_MS, () => patience.abort());
    await store.leases.revoke(leaseId, patience.signal).catch(() => undefined);
    cancel();
  }
}

type Renewal =
  | { readonly kind: 'renewed'; readonly ttlMs: number; readonly fenceAtMs: number }
  | { readonly kind: 'unanswered' }
  | { readonly kind: 'lost'; readonly reason: string };

const FENCED: Renewal = { kind: 'lost', reason: 'the store did not renew the lease in time' };

/** From when on a lease that was last renewed by a call sent at `sentAtMs` counts as gone. */
function fenceAt(sentAtMs: number, ttlSeconds: number): number {
  return sentAtMs + ttlSeconds * 1000 - fenceMarginMs(ttlSeconds * 1000);
}
