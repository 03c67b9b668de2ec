/** What the callee told of itself with a reply. */
export interface LoadReport {
  /** Tasks that it works on, ours among them. */
  readonly inFlight: number;
  /** Tasks that wait there, ours among them. */
  readonly queued: number;
  /** Tasks that it works on at once at most; 0 where it did not say. */
  readonly limit: number;
  readonly eventLoopDelayMs: number;
  /** Cores that its process uses. */
  readonly cpu: number;
}

/** The time constant of the average and of its decay: Finagle's default `decayTime`. */
const TAU_MS = 10_000;
/** What a report says of others counts less and less, and not at all after this: tasks seldom take longer. */
const REPORT_FADES_MS = 10_000;
/** A queue moves faster than that: what was reported of it longer ago says nothing. */
const QUEUE_FRESH_MS = 1_000;
/** Finagle's `Penalty`, `Long.MaxValue >> 16` ns: worse than any latency, so that an unknown one gets a single call to be measured by. */
const PENALTY_MS = 140_737_488;
const NEVER_MEASURED = -1;
const FRACTION = 2 ** 30;

/**
 * How busy and how slow one candidate is, as far as this process knows: its own calls there, and what the callee reported. Mutable, and
 * kept as long as the instance lives, over all snapshots that it is in. `nowMs` is monotonic everywhere.
 *
 * The callee's event-loop delay and CPU are not counted: what they cost a task is in the latency that is measured already, and a
 * factor between them and a number of tasks would be a guess.
 */
export class Load {
  // Whole numbers below 2^31 only: V8 keeps those in the object and others elsewhere, which costs a cache miss more, half of a pick among 100,000.
  // What picks look at comes first.
  private calls = 0;
  private others = 0;
  private reportedAtMs = 0;
  private measuredAtMs = 0;
  private averageMs = NEVER_MEASURED;
  /** What `averageMs` lacks, in 2^-30 ms: the average moves by less than a millisecond most of the time. */
  private averageFraction = 0;
  private limit = 0;
  private queued = 0;

  /** Calls that this process has under way there. */
  get inFlight(): number {
    return this.calls;
  }

  begin(): void {
    this.calls += 1;
  }

  /** Never below zero, whatever the caller does. */
  end(): void {
    if (this.calls > 0) this.calls -= 1;
  }

  /**
   * Counts a latency into the peak EWMA (Finagle, `PeakEwma.scala`): one above the average becomes the average at once, one below pulls it down
   * by as much as time has passed since the last.
   */
  observe(latencyMs: number, nowMs: number): void {
    const before = this.average();
    const kept = decay(nowMs - this.measuredAtMs);
    const after = latencyMs > before ? latencyMs : before * kept + Math.max(0, latencyMs) * (1 - kept);
    this.averageMs = Math.floor(after);
    this.averageFraction = Math.floor((after - this.averageMs) * FRACTION);
    this.measuredAtMs = Math.floor(nowMs);
  }

  /** A call that was not waited for to its end would have taken longer than this. */
  observeAtLeast(latencyMs: number, nowMs: number): void {
    if (latencyMs > this.average()) this.observe(latencyMs, nowMs);
  }

  report({ inFlight, queued, limit }: LoadReport, nowMs: number): void {
    this.others = Math.max(0, inFlight + queued - this.calls);
    this.queued = queued;
    this.limit = limit;
    this.reportedAtMs = Math.floor(nowMs);
  }

  /** Tasks there: our own, and those of others as last told, which fade to nothing within 10 s: for a later `nowMs` never more. */
  work(nowMs: number): number {
    if (this.others === 0) return this.calls;
    const ageMs = nowMs - this.reportedAtMs;
    return ageMs >= REPORT_FADES_MS ? this.calls : this.calls + this.others * (1 - ageMs / REPORT_FADES_MS);
  }

  /** What `work` is at most, at any time; `inFlight` is the least. Where those two decide, a picker saves the clock. */
  get mostWork(): number {
    return this.calls + this.others;
  }

  /**
   * What a further call would have to wait for, in milliseconds: the average latency × (in flight + 1), as in Finagle. It decays while nothing
   * is measured, so that a slow one is tried again. Never measured: 0, or a penalty while the first calls are under way.
   */
  cost(nowMs: number): number {
    if (this.averageMs === NEVER_MEASURED) return this.calls === 0 ? 0 : PENALTY_MS + this.calls;
    return this.average() * decay(nowMs - this.measuredAtMs) * (this.calls + 1);
  }

  /**
   * Whether `cost` is less here than there, now or at any time: both decay alike, so only the later measurement of the two matters. Saves a
   * picker the clock, which takes as long as the rest of a pick.
   */
  isCheaperThan(other: Load): boolean {
    const nowMs = Math.max(this.measuredAtMs, other.measuredAtMs);
    return this.cost(nowMs) < other.cost(nowMs);
  }

  /** Whether, as far as was told, a further task would wait: there was a queue a moment ago, or the limit is reached. */
  isBusy(nowMs: number): boolean {
    if (this.limit > 0 && this.work(nowMs) >= this.limit) return true;
    return this.queued > 0 && nowMs - this.reportedAtMs < QUEUE_FRESH_MS;
  }

  /** Whether the callee told how much it takes at once, and would begin a further task at once. Not the opposite of `isBusy`: mostly neither is known. */
  hasRoom(nowMs: number): boolean {
    return this.limit > 0 && !this.isBusy(nowMs);
  }

  private average(): number {
    return this.averageMs + this.averageFraction / FRACTION;
  }
}

function decay(elapsedMs: number): number {
  return elapsedMs <= 0 ? 1 : Math.exp(-elapsedMs / TAU_MS);
}
