export interface AdaptiveLimitOptions {
  /** What it never exceeds, at least 1. */
  readonly max: number;
}

/** Where it starts, unless less is allowed: few enough that hardly anything suffers, and not so few that slow work waits long. */
const INITIAL = 4;
/** By how much work may be slower than unloaded before the limit goes down; Gradient2's rttTolerance. */
const TOLERANCE = 1.5;
/** Pieces of work to a window at least: the mean of fewer says little where some are long and some are short. */
const MIN_SAMPLES = 24;
/** A window begins when so many times the work that was under way has ended: the long pieces of another limit have gone by then. */
const SETTLED_AFTER = 1.5;
/** Windows from one probe to the next where nothing asks for one: at half the limit in one of so many, 5 % of throughput at most. */
const PROBE_EVERY = 32;

type Phase =
  /** Works at the limit. `sinceProbe`: windows since the last probe; undefined: the next window is to be followed by one. */
  | { readonly kind: 'full'; readonly sinceProbe: number | undefined }
  /** Works at half the limit, to see how long work takes without congestion; `fullMs`: how long it took at the limit. */
  | { readonly kind: 'probing'; readonly fullMs: number };

/**
 * How much work at once is worth it: as much as does not make each piece much slower. The Gradient limit of Netflix's
 * concurrency-limits (limit × unloaded / now where work is slower than tolerated, limit + ½√limit elsewhere), over windows of
 * samples as their WindowedLimit has them, at first doubling as TCP does.
 *
 * What work takes unloaded is measured at half the limit, now and then and before each reduction: that tells congestion, which
 * less work at once cures, from work that got longer, and it does not drift. Gradient2's long average follows an overload that lasts, and
 * the limit with it. How long work takes is counted by Little's law (time × work at once / work done), so that a window
 * need not wait for its longest piece; neither is a minimum taken, since tasks of one agent differ.
 */
export class AdaptiveLimit {
  private readonly max: number;
  private estimate: number;
  private current: number;
  private unloadedMs = 0;
  private isStarting = true;
  private phase: Phase = { kind: 'full', sinceProbe: undefined };
  private window: Window;

  constructor({ max }: AdaptiveLimitOptions) {
    this.max = max;
    this.estimate = Math.min(max, INITIAL);
    this.current = this.estimate;
    this.window = new Window(this.current, 0);
  }

  /** How much may be worked on at once now, 1 to `max`. */
  get limit(): number {
    return this.current;
  }

  /** A piece of work began at `atMs` on the monotonic clock; `inFlight`: how many there were, without that one. */
  begun(atMs: number, inFlight: number): void {
    this.window.begun(atMs, inFlight);
  }

  /** A piece of work ended at `atMs` on the monotonic clock; `inFlight`: how many there were, that one included. */
  ended(atMs: number, inFlight: number): void {
    const { window } = this;
    window.ended(atMs, inFlight);
    if (!window.isOver) return;
    // Who did not use what he may says nothing about more or less.
    if (window.isSaturated) this.phase = this.conclude(this.phase, window.meanMs);
    this.current = Math.max(1, Math.floor(this.phase.kind === 'probing' ? this.estimate / 2 : this.estimate));
    this.window = new Window(this.current, inFlight);
  }

  private conclude(phase: Phase, meanMs: number): Phase {
    if (phase.kind === 'probing') return this.adjust(phase.fullMs, meanMs);
    if (this.current === 1) return this.adjust(meanMs, meanMs);
    const { sinceProbe = PROBE_EVERY } = phase;
    if (sinceProbe >= PROBE_EVERY || this.isSlow(meanMs)) return { kind: 'probing', fullMs: meanMs };
    this.grow();
    return { kind: 'full', sinceProbe: sinceProbe + 1 };
  }

  private adjust(fullMs: number, halfMs: number): Phase {
    const wasSlowToo = this.isSlow(halfMs);
    this.unloadedMs = halfMs;
    if (!this.isSlow(fullMs)) {
      this.grow();
      return { kind: 'full', sinceProbe: 0 };
    }
    this.isStarting = false;
    this.estimate = Math.max(1, (this.estimate * halfMs) / fullMs);
    // Where half the limit was too much as well, it looks again from where it is now.
    return { kind: 'full', sinceProbe: wasSlowToo ? undefined : 0 };
  }

  private isSlow(meanMs: number): boolean {
    return meanMs > TOLERANCE * this.unloadedMs;
  }

  private grow(): void {
    const step = this.isStarting ? this.estimate : Math.sqrt(this.estimate) / 2;
    this.estimate = Math.min(this.max, this.estimate + step);
    if (this.estimate === this.max) this.isStarting = false;
  }
}

/** What is measured at one limit, once what began at another has mostly ended. */
class Window {
  private readonly settled: number;
  private readonly end: number;
  private seen = 0;
  private saturated = 0;
  private workMs = 0;
  private lastMs = 0;

  constructor(
    private readonly limit: number,
    inFlight: number,
  ) {
    this.settled = Math.ceil(SETTLED_AFTER * Math.max(limit, inFlight));
    this.end = this.settled + Math.max(MIN_SAMPLES, 2 * limit);
  }

  begun(atMs: number, inFlight: number): void {
    if (this.isSettled) this.integrate(atMs, inFlight);
  }

  ended(atMs: number, inFlight: number): void {
    if (this.isSettled) {
      this.integrate(atMs, inFlight);
      if (inFlight >= this.limit) this.saturated += 1;
    }
    this.lastMs = atMs;
    this.seen += 1;
  }

  /** Told at each change how much was under way until then, so that a pause counts for nothing. */
  private integrate(atMs: number, inFlight: number): void {
    this.workMs += (atMs - this.lastMs) * inFlight;
    this.lastMs = atMs;
  }

  private get isSettled(): boolean {
    return this.seen >= this.settled;
  }

  get isOver(): boolean {
    return this.seen >= this.end;
  }

  get isSaturated(): boolean {
    return this.saturated * 2 > this.end - this.settled;
  }

  get meanMs(): number {
    return this.workMs / (this.end - this.settled);
  }
}
