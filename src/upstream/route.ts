import type { LoadReport } from '../balancer/load.js';
import type { PickRequest } from '../balancer/picker.js';
import type { Clock } from '../core/clock.js';
import { deadlineExceeded, TroupeError, withMetadata } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Target } from '../discovery/view.js';
import { backoffMs } from '../resilience/backoff.js';
import { type Outcome, outcomeOf, verdictOf } from './outcome.js';
import { outcomeUnknown } from './outcome-unknown.js';
import type { RouteRequest } from './route-request.js';
import type { Selector } from './selector.js';
import type { Verdict } from './verdict.js';
import { ABANDONED, SUCCEEDED } from './verdict.js';

/** One try under way. */
export interface Try<T> {
  /** Rejects with a TroupeError; `outcomeOf` says what is known then. */
  readonly response: Promise<T>;
  /** Nobody waits for it any more. */
  cancel(): void;
}

/** Does the task on `target`: how its try ends decides whether there is another. */
export type Attempt<T> = (target: Target, attempt: number) => Try<T>;

/** What a try that gave its answer tells besides. */
export interface Told<T> {
  readonly load?: (value: T) => LoadReport | undefined;
  /** That the agent succeeded when not given. */
  readonly verdict?: Verdict;
}

export interface RouteDeps {
  readonly selector: Selector;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * For so long an agent is asked again whose node is fenced: by then the node holds a lease again, or has left the view, or this
 * router knows as well that the registry is away.
 */
const FENCED_PATIENCE_MS = 3_000;

type Tried<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: TroupeError; readonly outcome: Outcome; readonly target: Target };

/**
 * One task on its way: one layer, and the only one, that tries again. A task that certainly did not start goes elsewhere; one whose outcome is
 * unknown only if it is idempotent. All tries after the first draw on the retry budget of the destination, and none begins after
 * the deadline. Hedged tasks (gRFC A6) ask the next agent before the first has answered.
 */
export class Route<T> {
  /** Agents that are not asked (again) in this round. */
  private refused: Set<string> | undefined;
  private last: (Tried<T> & { readonly kind: 'failed' }) | undefined;
  /** The first try that may have run: whatever the others say, so may the task. */
  private unknown: (Tried<T> & { readonly kind: 'failed' }) | undefined;
  private tries = 0;
  private rounds = 0;
  private cancelled: TroupeError | undefined;
  private running: readonly Try<T>[] = [];
  private wake: () => void = NOTHING;
  private readonly patientUntilMs: number;

  constructor(
    private readonly deps: RouteDeps,
    private readonly request: RouteRequest,
    private readonly attempt: Attempt<T>,
    private readonly told: Told<T> = NOTHING_TOLD,
  ) {
    this.patientUntilMs = deps.clock.monotonicMs() + FENCED_PATIENCE_MS;
  }

  /**
   * @throws NOT_FOUND / NO_AGENT, UNKNOWN_AGENT; UNAVAILABLE / NO_HEALTHY_AGENT, CIRCUIT_OPEN; ABORTED / OUTCOME_UNKNOWN;
   * DEADLINE_EXCEEDED; CANCELLED after `cancel`; or what the last try threw.
   */
  run(): Promise<T> {
    const { idempotent, retry } = this.request;
    return idempotent && retry.hedgingDelayMs !== undefined ? this.hedge(retry.hedgingDelayMs) : this.oneByOne();
  }

  /** Calls off what is under way, and begins nothing more. */
  cancel(error = new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled')): void {
    this.cancelled ??= error;
    for (const each of this.running) each.cancel();
    this.wake();
  }

  private async oneByOne(): Promise<T> {
    for (;;) {
      const target = this.next();
      if (target === undefined) {
        await this.nextRound();
        continue;
      }
      const tried = await this.tryOn(target).ended;
      if (tried.kind === 'done') return tried.value;
      this.failed(tried);
    }
  }

  /** Asks the next agent whenever the last one has not answered for `delayMs`, or did not take it; the first answer counts. */
  private hedge(delayMs: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let settled = false;
      let disarm: () => void = () => undefined;
      const settle = (act: () => void) => {
        if (settled) return;
        settled = true;
        disarm();
        act();
        for (const each of this.running) each.cancel();
      };
      const begin = (): void => {
        disarm();
        if (settled) return;
        const target = this.nextHedge(() => settle(() => reject(this.endError())));
        if (target === undefined) return;
        this.exclude(target);
        disarm = this.deps.clock.after(delayMs, begin);
        void this.tryOn(target).ended.then(
          (tried) => {
            if (settled) return;
            if (tried.kind === 'done') return settle(() => resolve(tried.value));
            this.note(tried);
            if (tried.outcome === 'answered') return settle(() => reject(tried.error));
            begin();
          },
          (error: unknown) => settle(() => reject(error)),
        );
      };
      begin();
    });
  }

  /** The next agent of a hedged task; where there is none and nothing is under way, it has ended. */
  private nextHedge(onEnd: () => void): Target | undefined {
    let target: Target | undefined;
    try {
      if (this.cancelled === undefined && this.mayTry()) target = this.next();
    } catch (error) {
      // Under way is still under way.
      if (this.running.length === 0 && error instanceof TroupeError) this.cancelled ??= error;
    }
    if (target === undefined && this.running.length === 0) onEnd();
    return target;
  }

  private endError(): TroupeError {
    if (this.cancelled !== undefined) return this.cancelled;
    if (this.unknown !== undefined) return outcomeUnknown(this.unknown.target.instance, this.unknown.error, IDEMPOTENT_ONLY);
    return this.last?.error ?? deadlineExceeded();
  }

  private note(tried: Tried<T> & { readonly kind: 'failed' }): void {
    this.last = tried;
    if (tried.outcome === 'unknown') this.unknown ??= tried;
  }

  /** Whether bounds leave another try, the budget aside. */
  private mayTry(): boolean {
    return this.tries < this.request.retry.maxAttempts && this.deps.clock.now() < this.request.deadlineMs;
  }

  /** Whom to ask next; undefined when everybody was asked. @throws when there is nobody to ask at all, or no more tries are allowed. */
  private next(): Target | undefined {
    const { selector, clock } = this.deps;
    if (this.cancelled !== undefined) throw this.cancelled;
    if (clock.now() >= this.request.deadlineMs) throw deadlineExceeded();
    const budget = selector.budgetOf(this.request);
    const target = selector.select(this.request, this.pickRequest(), this.last === undefined, (shut) => this.exclude(shut));
    if (target === undefined) return undefined;
    if (this.tries === 0) budget.deposit();
    else if (!budget.tryWithdraw()) {
      selector.end(target, ABANDONED, selector.eraOf(target));
      throw this.overBudget();
    }
    this.tries += 1;
    return target;
  }

  private pickRequest(): PickRequest {
    const { hash } = this.request;
    return this.refused === undefined && hash === undefined ? ANY : { excluded: this.refused, hash };
  }

  private exclude(target: Target): Set<string> {
    this.refused ??= new Set();
    return this.refused.add(target.key);
  }

  /** Tries on a target that `select` gave. `ended` rejects only with what is no TroupeError. */
  private tryOn(target: Target): { readonly ended: Promise<Tried<T>> } {
    const { selector, clock } = this.deps;
    const startedAtMs = clock.monotonicMs();
    const era = selector.eraOf(target);
    target.load.begin();
    let current: Try<T>;
    try {
      current = this.attempt(target, this.tries);
    } catch (error) {
      current = { response: Promise.reject(error), cancel: () => undefined };
    }
    this.running = [...this.running, current];
    const end = () => {
      this.running = this.running.filter((each) => each !== current);
      target.load.end();
      return clock.monotonicMs();
    };
    const ended = current.response.then(
      (value): Tried<T> => {
        const endedAtMs = end();
        target.load.observe(endedAtMs - startedAtMs, endedAtMs);
        const load = this.told.load?.(value);
        if (load !== undefined) target.load.report(load, endedAtMs);
        selector.end(target, this.told.verdict ?? SUCCEEDED, era);
        return { kind: 'done', value };
      },
      (error: unknown): Tried<T> => {
        const endedAtMs = end();
        if (!(error instanceof TroupeError)) {
          selector.end(target, ABANDONED, era);
          throw error;
        }
        const outcome = outcomeOf(error);
        const verdict = verdictOf(error, outcome, endedAtMs - startedAtMs);
        // A failure that comes fast must not make an agent look fast, nor one that was not waited for.
        if (verdict.kind === 'failed') target.load.observe(Math.max(endedAtMs - startedAtMs, SLOW_AS_FAILED_MS), endedAtMs);
        else if (verdict.kind === 'abandoned') target.load.observeAtLeast(endedAtMs - startedAtMs, endedAtMs);
        selector.end(target, mayHaveWaited(error, target, endedAtMs) ? ABANDONED : verdict, era);
        return { kind: 'failed', error, outcome, target };
      },
    );
    return { ended };
  }

  /** Takes in a try that did not give the answer. @throws where there must not be another. */
  private failed(tried: Tried<T> & { readonly kind: 'failed' }): void {
    const { error, outcome, target } = tried;
    if (this.cancelled !== undefined) throw this.cancelled;
    if (outcome === 'answered') throw error;
    if (outcome === 'unknown' && !this.request.idempotent) throw outcomeUnknown(target.instance, error, IDEMPOTENT_ONLY);
    this.note(tried);
    if (this.tries >= this.request.retry.maxAttempts && !this.isPatient(error)) throw this.endError();
    this.exclude(target);
  }

  /**
   * Everybody was asked. Who is full, or has an open circuit, says so at once; who could not be reached may be back in a moment.
   * Resolves after a pause. @throws when there is no more time, or no more rounds.
   */
  private async nextRound(): Promise<void> {
    this.rounds += 1;
    const error = this.last?.error ?? deadlineExceeded();
    if (error.code === 'RESOURCE_EXHAUSTED' || error.reason === 'CIRCUIT_OPEN') throw this.endError();
    if (this.rounds >= this.request.retry.maxAttempts && !this.isPatient(error)) throw this.endError();
    const ms = backoffMs(this.rounds, this.request.retry, this.deps.random);
    if (this.deps.clock.now() + ms >= this.request.deadlineMs) throw this.endError();
    await this.pause(ms);
    this.refused = undefined;
  }

  private isPatient({ reason }: TroupeError): boolean {
    return reason === 'NODE_FENCED' && this.deps.clock.monotonicMs() < this.patientUntilMs;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const disarm = this.deps.clock.after(ms, resolve);
      this.wake = () => {
        disarm();
        resolve();
      };
    });
  }

  private overBudget(): TroupeError {
    return withMetadata(this.endError(), { retries: 'budget_exhausted' });
  }
}

/**
 * Whether a deadline may have passed while the task waited for a busy agent, which then is not at fault. One that is busy because it hangs
 * is known to its circuit at its node, which knows when work was begun.
 */
function mayHaveWaited({ code }: TroupeError, { load }: Target, nowMs: number): boolean {
  return code === 'DEADLINE_EXCEEDED' && load.isBusy(nowMs);
}

const ANY: PickRequest = {};
const NOTHING_TOLD = {};
const NOTHING = () => undefined;
const IDEMPOTENT_ONLY = 'it may have run; it is repeated only where the task says idempotent';
/** What a failure counts as latency at least. */
const SLOW_AS_FAILED_MS = 1_000;
