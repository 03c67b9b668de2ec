/** Tasks that have to end before there is an estimate. */
const MIN_TASKS = 10;
/** Weight of the newest; as TCP smoothes its round-trip time (RFC 6298), of which the mean deviation comes as well. */
const SMOOTHING = 1 / 8;

/**
 * How long a task holds its place at an agent, and by how much that differs from task to task: smoothed over the last few, failed
 * ones and those whose caller had gone among them.
 */
export class ServiceTime {
  private meanMs = 0;
  private meanDeviationMs = 0;
  private tasks = 0;

  /** Undefined until enough tasks were seen. */
  get ms(): number | undefined {
    return this.tasks < MIN_TASKS ? undefined : this.meanMs;
  }

  /** Mean deviation from `ms`. */
  get deviationMs(): number {
    return this.meanDeviationMs;
  }

  observe(ms: number): void {
    this.tasks += 1;
    // The plain mean at first: the first task is no better than the others.
    const weight = Math.max(SMOOTHING, 1 / this.tasks);
    const error = ms - this.meanMs;
    this.meanMs += error * weight;
    if (this.tasks > 1) this.meanDeviationMs += (Math.abs(error) - this.meanDeviationMs) * weight;
  }
}

/** An agent that is busy, as a task finds it that has to wait. */
export interface Line {
  /** Tasks that go before it. */
  readonly ahead: number;
  /** Tasks that are worked on at once. */
  readonly concurrency: number;
  /** How long each takes. */
  readonly serviceMs: number;
  /** By how much that differs. */
  readonly deviationMs: number;
  /** What part of the tasks that are begun comes later and goes before it all the same, 0 to below 1. */
  readonly overtaking: number;
}

/**
 * Until its turn comes: `ahead` + 1 tasks have to end first, and one does each serviceMs / concurrency. That is the mean for
 * exponential service times (M/M/c), and no less than the mean for steadier ones. Those that overtake it take their part of that.
 */
export function waitMs({ ahead, concurrency, serviceMs, overtaking }: Line): number {
  return ((ahead + 1) * serviceMs) / (concurrency * (1 - overtaking));
}

/** For what lies between two tasks and is in no measurement. */
const OVERHEAD = 1.1;
/** Deviations to spare: of ten tasks that are just let in, nine are done in time. */
const SPARE_DEVIATIONS = 2;

/**
 * What a task that has to wait needs before its deadline to be done in time, with some to spare. Its own time counts too: under a lasting
 * overload the line is always as long as deadlines allow, so an agent that takes what it can begin but not finish, or
 * finish only if all goes well, is busy with work that nobody waits for any more, and with nothing else.
 */
export function neededMs(line: Line): number {
  const spareMs = SPARE_DEVIATIONS * line.deviationMs * (1 + Math.sqrt(line.ahead + 1) / line.concurrency);
  return (waitMs(line) + line.serviceMs) * OVERHEAD + spareMs;
}

const MIN_RETRY_MS = 10;
const MAX_RETRY_MS = 5_000;
/** A router finds another agent sooner than this one frees a place. */
const UNKNOWN_RETRY_MS = 100;

/**
 * Whether a task whose turn has come is better refused than begun: more urgent ones have kept it waiting for so long that it would hardly be done
 * in time.
 */
export function isTooLate({ serviceMs, deviationMs }: Line, remainingMs: number): boolean {
  return remainingMs < serviceMs * OVERHEAD + SPARE_DEVIATIONS * deviationMs;
}

/** What a refusal says about trying again: never at once, and not so late that a task that got through fast is missed. */
export function retryAfterMs(ms: number | undefined): number {
  return ms === undefined ? UNKNOWN_RETRY_MS : Math.ceil(Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, ms)));
}
