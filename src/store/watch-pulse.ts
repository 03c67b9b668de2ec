import type { Clock } from '../core/clock.js';

const PROBE_INTERVAL_MS = 1_000;
/** While etcd catches the watch up, when it may leave probes without an answer: to know soon. */
const CATCH_UP_INTERVAL_MS = 250;
const SILENCE_MS = 3_000;
/** How long no event may have come before an answer is taken to mean that the catch-up is over. */
const CAUGHT_UP_AFTER_MS = 1_000;

export interface WatchPulseHooks {
  /** Asks for an answer. */
  readonly probe: () => void;
  /** Nothing came for 3 s although it was awaited. */
  readonly onSilence: () => void;
}

/**
 * The pulse of one watch stream: probes it each second, says when an answer means "up to date", and notices silence: a
 * frozen etcd keeps its connections. Only waiting counts as silence; a reader that takes its time is not etcd's fault.
 */
export class WatchPulse {
  private cancelTimer: () => void = () => undefined;
  private tickAtMs = 0;
  private waitingSinceMs: number | undefined;
  private quietSinceMs = 0;
  /** When the probe was sent that has no answer yet. */
  private probedAtMs: number | undefined;
  private started = false;
  private caughtUp = false;
  private answered = false;
  private wasSilent = false;

  constructor(
    private readonly clock: Clock,
    private readonly hooks: WatchPulseHooks,
  ) {
    this.arm();
  }

  get silent(): boolean {
    return this.wasSilent;
  }

  /** Passes `next` on, and counts the time until it is there as waiting. */
  async awaiting<T>(next: Promise<T>): Promise<T> {
    this.waitingSinceMs = this.clock.monotonicMs();
    try {
      return await next;
    } finally {
      this.waitingSinceMs = undefined;
    }
  }

  /** The watch was created; `caughtUp`: there is no history to be sent first. */
  start({ caughtUp }: { readonly caughtUp: boolean }): void {
    this.started = true;
    this.caughtUp = caughtUp;
    this.quietSinceMs = this.clock.monotonicMs();
    this.probe();
    this.arm();
  }

  onEvents({ caughtUp }: { readonly caughtUp: boolean }): void {
    this.caughtUp ||= caughtUp;
    this.quietSinceMs = this.clock.monotonicMs();
  }

  /**
   * A probe was answered. True when all was delivered that had happened by then. etcd before 3.4.25 and 3.5.8 answers
   * ahead of events that it still has to send from history, so during a catch-up it takes a quiet second as well.
   */
  onAnswer(): boolean {
    const probedAtMs = this.probedAtMs;
    this.probedAtMs = undefined;
    if (probedAtMs === undefined) return false;
    this.answered = true;
    this.caughtUp ||= probedAtMs - this.quietSinceMs >= CAUGHT_UP_AFTER_MS;
    // An answer that lay unread says nothing about now.
    return this.caughtUp && this.clock.monotonicMs() - probedAtMs < SILENCE_MS;
  }

  stop(): void {
    this.cancelTimer();
  }

  private tick(): void {
    const now = this.clock.monotonicMs();
    // This process itself was stopped or blocked: what etcd sent meanwhile has not been read yet.
    if (now - this.tickAtMs > SILENCE_MS / 2 && this.waitingSinceMs !== undefined) this.waitingSinceMs = now;
    if (this.waitingSinceMs !== undefined && now - this.waitingSinceMs >= SILENCE_MS) {
      this.wasSilent = true;
      this.hooks.onSilence();
      return;
    }
    // An unread answer is enough; but one that etcd owes may never come (it skips probes during a catch-up).
    if (this.started && (this.probedAtMs === undefined || this.waitingSinceMs !== undefined)) this.probe();
    this.arm();
  }

  private probe(): void {
    this.probedAtMs ??= this.clock.monotonicMs();
    this.hooks.probe();
  }

  private arm(): void {
    this.cancelTimer();
    const delayMs = this.started && !(this.caughtUp && this.answered) ? CATCH_UP_INTERVAL_MS : PROBE_INTERVAL_MS;
    this.tickAtMs = this.clock.monotonicMs() + delayMs;
    this.cancelTimer = this.clock.after(delayMs, () => this.tick());
  }
}
