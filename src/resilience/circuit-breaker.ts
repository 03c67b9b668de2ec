import type { Clock } from '../core/clock.js';

export interface CircuitPolicy {
  /** Failures in a row that open it, at least 1. */
  readonly failures: number;
  /** How long it stays open the first time; doubles each time that its probes fail. */
  readonly openMs: number;
  /** The longest that it stays open. */
  readonly maxOpenMs: number;
  /** Calls that it lets pass at once while half-open, at least 1. */
  readonly probes: number;
}

/** Five failures in a row and at most 60 s are the article's; the first pauses are shorter, so that a short trouble costs little. */
export const DEFAULT_CIRCUIT: CircuitPolicy = { failures: 5, openMs: 5_000, maxOpenMs: 60_000, probes: 1 };

/** Times are on the monotonic clock. `openings` in a row double the pause. */
export type CircuitState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly retryAtMs: number; readonly openings: number }
  | { readonly kind: 'half_open'; readonly underWay: number; readonly openings: number; readonly probedAtMs: number };

export interface CircuitCounts {
  readonly successes: number;
  readonly failures: number;
  readonly rejected: number;
}

/**
 * Stops calls to what fails again and again, so that it can recover and callers need not wait for it (Nygard, "Release It!"): closed →
 * open after `failures` in a row → half-open when its pause has passed, which lets `probes` calls through at once → closed
 * with the first that succeeds, open again with the first that fails. A probe that takes longer than the first pause does not keep others
 * out: one more is let through after each.
 *
 * Every `tryAcquire` that gave true is followed by exactly one of `succeeded`, `failed`, `released`, with the `era` that was current
 * when it was let through: what a call from before the last opening tells is old, and must neither close nor open anything. Who
 * gives none speaks of now.
 */
export class CircuitBreaker {
  private current: CircuitState = CLOSED;
  private changedAtMs: number;
  private readonly counted = { successes: 0, failures: 0, rejected: 0 };
  private inARow = 0;
  private lastReason = '';

  private opened: number;

  /** `onChange` is called after each change of state's kind. Eras begin at `firstEra`: who has several breakers in turn tells them apart by that. */
  constructor(
    private readonly policy: CircuitPolicy,
    private readonly clock: Clock,
    private readonly onChange: (state: CircuitState) => void = () => undefined,
    firstEra = 0,
  ) {
    this.opened = firstEra;
    this.changedAtMs = clock.now();
  }

  /** The state as it is now: an open circuit whose pause has passed counts as half-open. */
  get state(): CircuitState {
    const { current } = this;
    if (current.kind !== 'open' || this.clock.monotonicMs() < current.retryAtMs) return current;
    return { kind: 'half_open', underWay: 0, openings: current.openings, probedAtMs: Number.NEGATIVE_INFINITY };
  }

  get counts(): CircuitCounts {
    return this.counted;
  }

  /** Grows with each opening: tells calls from before an opening from those after. */
  get era(): number {
    return this.opened;
  }

  /** Failures since the last success. */
  get consecutiveFailures(): number {
    return this.inARow;
  }

  /** What the last failure said; '' when there was none. */
  get lastFailure(): string {
    return this.lastReason;
  }

  /** When it reached its state, milliseconds since the epoch. */
  get sinceMs(): number {
    return this.changedAtMs;
  }

  /** Whether a call would be let through now. */
  get allows(): boolean {
    if (this.current.kind === 'closed') return true;
    const { state } = this;
    return state.kind === 'half_open' && this.hasPlace(state);
  }

  /** Until the next call may pass; 0 when one may now or as soon as a probe has ended. */
  retryInMs(): number {
    return this.current.kind === 'open' ? Math.max(0, this.current.retryAtMs - this.clock.monotonicMs()) : 0;
  }

  /** When the next call may pass, milliseconds since the epoch; undefined while one may now. */
  get nextTryAtMs(): number | undefined {
    const ms = this.retryInMs();
    return ms > 0 ? this.clock.now() + ms : undefined;
  }

  /** Asks for a call to be let through; counts it when not. */
  tryAcquire(): boolean {
    if (this.current.kind === 'closed') return true;
    const { state } = this;
    if (state.kind !== 'half_open' || !this.hasPlace(state)) {
      this.counted.rejected += 1;
      return false;
    }
    this.enter({ ...state, underWay: state.underWay + 1, probedAtMs: this.clock.monotonicMs() });
    return true;
  }

  succeeded(era = this.opened): void {
    this.counted.successes += 1;
    if (era !== this.opened || this.current.kind === 'open') return;
    this.inARow = 0;
    this.enter(CLOSED);
  }

  /** `reason`: what went wrong, in a few words. */
  failed(reason: string, era = this.opened): void {
    this.counted.failures += 1;
    if (era !== this.opened) return;
    this.inARow += 1;
    this.lastReason = reason.slice(0, MAX_REASON_CHARS);
    const { current } = this;
    if (current.kind === 'closed' && this.inARow >= this.policy.failures) this.open(1);
    else if (current.kind === 'half_open') this.open(current.openings + 1);
  }

  /** A call that was let through ended without telling anything: its caller went away, or it was refused for another reason. */
  released(era = this.opened): void {
    const { current } = this;
    if (era !== this.opened || current.kind !== 'half_open') return;
    this.enter({ ...current, underWay: Math.max(0, current.underWay - 1) });
  }

  private hasPlace({ underWay, probedAtMs }: CircuitState & { readonly kind: 'half_open' }): boolean {
    return underWay < this.policy.probes || this.clock.monotonicMs() - probedAtMs >= this.policy.openMs;
  }

  private open(openings: number): void {
    this.opened += 1;
    const pauseMs = Math.min(this.policy.maxOpenMs, this.policy.openMs * 2 ** Math.min(openings - 1, 30));
    this.enter({ kind: 'open', retryAtMs: this.clock.monotonicMs() + pauseMs, openings });
  }

  private enter(state: CircuitState): void {
    const before = this.current.kind;
    this.current = state;
    if (before === state.kind) return;
    this.changedAtMs = this.clock.now();
    this.onChange(state);
  }
}

const CLOSED: CircuitState = { kind: 'closed' };
const MAX_REASON_CHARS = 200;
