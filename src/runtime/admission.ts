import type { CircuitOptions } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import type { Clock } from '../core/clock.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import type { Priority } from '../core/priority.js';
import { AdaptiveLimit } from '../resilience/adaptive-limit.js';
import { CircuitBreaker, type CircuitState, DEFAULT_CIRCUIT } from '../resilience/circuit-breaker.js';
import { type Blame, blameOf } from '../resilience/failure.js';
import type { Logger } from '../telemetry/logger.js';
import { Mailbox } from './mailbox.js';
import { Overtaking } from './overtaking.js';
import { circuitOpen, mailboxFull, notStarted, shed, wouldBeLate } from './refusals.js';
import { isTooLate, type Line, neededMs, retryAfterMs, ServiceTime, waitMs } from './service-time.js';
import { type TaskInput, type TaskSink, Turn, type TurnEnd, type TurnOwner } from './turn.js';

export interface AdmissionOptions {
  readonly manifest: AgentManifest;
  /** False: it lets everything pass. */
  readonly circuit: false | CircuitOptions;
  readonly nodeId: string;
  readonly clock: Clock;
  /** Logs with the agent's id. */
  readonly logger: Logger;
  /** Hears of each change of its circuit. */
  readonly onCircuit?: ((to: CircuitState['kind']) => void) | undefined;
}

export interface AdmissionStatus {
  /** Tasks that the agent works on. */
  readonly inFlight: number;
  /** Tasks that wait. */
  readonly queued: number;
  readonly completed: number;
  readonly failed: number;
  /** Because there was too much to do. */
  readonly refused: number;
  /** Tasks that the agent works on at once at most now. */
  readonly concurrencyLimit: number;
  /** Undefined where it is switched off. It goes on living. */
  readonly circuit: CircuitBreaker | undefined;
}

/** A caller that calls a task off so shortly before its deadline means the deadline: clocks differ, and routers keep it as well. */
const AT_DEADLINE_MS = 100;

/** What a circuit says while a probe is under way: nobody knows how long that takes. */
const PROBE_RETRY_MS = 100;

/**
 * What stands before one agent: which tasks it takes, in which order it works on them, and which it refuses at once, so that
 * overload is a refusal that routers understand and not a timeout. Tells the circuit of each task that it let through how that
 * went, exactly once.
 */
export class Admission implements TurnOwner {
  private readonly mailbox: Mailbox<Turn>;
  private readonly circuit: CircuitBreaker | undefined;
  private readonly adaptive: AdaptiveLimit | undefined;
  private readonly concurrency: { readonly limit: number };
  private readonly serviceTime = new ServiceTime();
  private readonly overtaking = new Overtaking();
  private readonly running = new Set<Turn>();
  /** Tasks that the agent still works on although nobody waits for them. */
  private overdue = 0;
  private counts = { completed: 0, failed: 0, refused: 0 };

  /** `run` does a turn; it must not throw. */
  constructor(
    private readonly options: AdmissionOptions,
    private readonly run: (turn: Turn) => Promise<TurnEnd>,
  ) {
    const { manifest, circuit, clock } = options;
    this.adaptive = manifest.adaptiveConcurrency ? new AdaptiveLimit({ max: manifest.concurrency }) : undefined;
    this.concurrency = this.adaptive ?? { limit: manifest.concurrency };
    if (circuit !== false) this.circuit = new CircuitBreaker(policyOf(circuit), clock, (state) => this.circuitChanged(state));
    this.mailbox = new Mailbox({ concurrency: this.concurrency, capacity: manifest.mailboxCapacity }, (turn) => this.work(turn));
  }

  get inFlight(): number {
    return this.mailbox.inFlight;
  }

  get queued(): number {
    return this.mailbox.queued;
  }

  get concurrencyLimit(): number {
    return this.concurrency.limit;
  }

  /** Tasks that have ended, however. */
  get ended(): number {
    return this.counts.completed + this.counts.failed;
  }

  status(): AdmissionStatus {
    const { inFlight, queued, concurrencyLimit, circuit } = this;
    return { inFlight, queued, concurrencyLimit, circuit, ...this.counts };
  }

  /**
   * Takes a task in. @throws when it does not, so that the agent has not seen the task: UNAVAILABLE / CIRCUIT_OPEN,
   * RESOURCE_EXHAUSTED / MAILBOX_FULL, WOULD_BE_LATE. One that waits may still be refused, as SHED or CIRCUIT_OPEN.
   */
  admit(input: TaskInput, sink: TaskSink | undefined): Turn {
    const { circuit, mailbox } = this;
    if (circuit?.tryAcquire() === false) throw this.circuitRefusal(circuit);
    const mustWait = !mailbox.isFree;
    const refusal = mustWait ? this.overload(input) : undefined;
    if (refusal !== undefined) {
      circuit?.released(circuit.era);
      this.counts.refused += 1;
      throw refusal;
    }
    const turn = new Turn(input, sink, this.options.clock, this, circuit?.era);
    turn.hasWaited = mustWait;
    const gaveUp = mailbox.take(turn);
    if (gaveUp !== undefined) {
      this.counts.refused += 1;
      const line = this.lineOf(gaveUp.priority);
      gaveUp.cancel(shed(this.options.manifest, retryAfterMs(line === undefined ? undefined : waitMs(line))));
    }
    turn.watchDeadline();
    return turn;
  }

  /** Calls off everything, since the agent stops. Gives how many tasks that was. */
  callOff(): number {
    const { id } = this.options.manifest;
    const waiting = this.mailbox.clear();
    const error = (details: object) =>
      new TroupeError('UNAVAILABLE', 'AGENT_STOPPED', `agent "${id}" stopped before the task was done`, details);
    for (const turn of waiting) turn.cancel(error(notStarted(id)));
    for (const turn of this.running) turn.cancel(error({}));
    return waiting.length + this.running.size;
  }

  /** Resolves when nothing runs and nothing waits. */
  whenIdle(): Promise<void> {
    return this.mailbox.whenIdle();
  }

  calledOff(turn: Turn, error: TroupeError): void {
    if (turn.begunAtMs === undefined) this.mailbox.withdraw(turn);
    else this.overdue += 1;
    const isRefusal = error.metadata.started === 'false';
    if (!isRefusal) this.counts.failed += 1;
    this.judge(turn, isRefusal ? 'nothing' : this.blameOfCallOff(turn, error), 'a deadline passed');
  }

  private async work(turn: Turn): Promise<void> {
    const refusal = this.refusalAtTurn(turn);
    if (refusal !== undefined) {
      this.counts.refused += 1;
      turn.cancel(refusal);
      return;
    }
    this.overtaking.begun(turn.priority, this.mailbox.queued > 0);
    this.running.add(turn);
    this.adaptive?.begun(this.options.clock.monotonicMs(), this.mailbox.inFlight - 1);
    const end = await this.run(turn);
    this.running.delete(turn);
    const { begunAtMs } = turn;
    // Its deadline had passed before it could begin.
    if (begunAtMs === undefined) return;
    const now = this.options.clock.monotonicMs();
    this.serviceTime.observe(now - begunAtMs);
    this.adaptive?.ended(now, this.mailbox.inFlight);
    if (end === 'called_off') {
      this.overdue -= 1;
    } else if (end === 'completed') {
      this.counts.completed += 1;
      this.judge(turn, 'succeeded', '');
    } else {
      this.counts.failed += 1;
      this.judge(turn, blameOf(end, now - begunAtMs), end.message);
    }
  }

  /** Why a task that would have to wait is better refused; undefined when it is not. */
  private overload({ priority, deadlineMs }: TaskInput): TroupeError | undefined {
    const { manifest, clock } = this.options;
    const line = this.lineOf(priority);
    if (!this.mailbox.hasRoom(priority))
      return mailboxFull(manifest, retryAfterMs(line === undefined ? undefined : line.serviceMs / line.concurrency));
    const remainingMs = deadlineMs - clock.now();
    if (line === undefined || remainingMs <= 0) return undefined;
    const lateMs = neededMs(line) - remainingMs;
    if (lateMs <= 0) return undefined;
    const wait = waitMs(line);
    const times = { waitMs: wait, serviceMs: line.serviceMs, remainingMs };
    return wouldBeLate(manifest, times, retryAfterMs(Math.min(lateMs, wait)));
  }

  /** Why a task that has waited is better not begun any more; undefined when it is. */
  private refusalAtTurn(turn: Turn): TroupeError | undefined {
    const line = turn.hasWaited ? this.lineOf(turn.priority) : undefined;
    const remainingMs = turn.remainingMs();
    if (line === undefined || remainingMs === 0 || !isTooLate(line, remainingMs)) return undefined;
    const times = { waitMs: 0, serviceMs: line.serviceMs, remainingMs };
    return wouldBeLate(this.options.manifest, times, retryAfterMs(waitMs(line)));
  }

  /** What a task finds that comes now and has to wait; undefined until that can be told. */
  private lineOf(priority: Priority): Line | undefined {
    const { ms, deviationMs } = this.serviceTime;
    if (ms === undefined) return undefined;
    const ahead = this.mailbox.ahead(priority);
    return { ahead, concurrency: this.concurrency.limit, serviceMs: ms, deviationMs, overtaking: this.overtaking.of(priority) };
  }

  private blameOfCallOff(turn: Turn, error: TroupeError): Blame {
    const isLate = error.code === 'DEADLINE_EXCEEDED' || turn.remainingMs() <= AT_DEADLINE_MS;
    if (!isLate) return 'nothing';
    // One that waits speaks against the agent only where it waited for work that has outlived all its callers.
    const isStuck = this.overdue > 0 && this.overdue >= this.mailbox.inFlight;
    const hadFromMs = turn.begunAtMs ?? (isStuck ? turn.arrivedAtMs : undefined);
    return hadFromMs === undefined ? 'nothing' : blameOf(deadlineExceeded(), this.options.clock.monotonicMs() - hadFromMs);
  }

  private judge(turn: Turn, blame: Blame, reason: string): void {
    const { era } = turn;
    if (this.circuit === undefined || era === undefined) return;
    turn.era = undefined;
    if (blame === 'succeeded') this.circuit.succeeded(era);
    else if (blame === 'failed') this.circuit.failed(reason, era);
    else this.circuit.released(era);
  }

  private circuitChanged(state: CircuitState): void {
    const { circuit } = this;
    if (circuit === undefined) return;
    const { logger } = this.options;
    this.options.onCircuit?.(state.kind);
    switch (state.kind) {
      case 'closed':
        logger.info('circuit closed', { reason: 'a probe succeeded' });
        break;
      case 'half_open':
        logger.info('circuit half-open', { reason: 'its pause has passed' });
        break;
      case 'open': {
        // What waits would wait for an agent that fails: others may take it.
        const waiting = this.mailbox.clear();
        for (const turn of waiting) turn.cancel(this.circuitRefusal(circuit));
        logger.warn('circuit opened', {
          reason: circuit.lastFailure,
          failures: circuit.consecutiveFailures,
          openings: state.openings,
          retryInMs: circuit.retryInMs(),
          sentAway: waiting.length,
        });
      }
    }
  }

  private circuitRefusal(circuit: CircuitBreaker): TroupeError {
    const { manifest, nodeId } = this.options;
    return circuitOpen(manifest.id, nodeId, circuit.lastFailure, circuitRetryMs(circuit));
  }
}

/** Its whole pause, however long: who comes sooner is refused again. */
function circuitRetryMs(circuit: CircuitBreaker): number {
  return Math.ceil(circuit.retryInMs()) || PROBE_RETRY_MS;
}

/** What its author left open is the default; a longest pause that he left open is at least as long as his first. */
function policyOf({ failures = DEFAULT_CIRCUIT.failures, openMs = DEFAULT_CIRCUIT.openMs, maxOpenMs }: CircuitOptions) {
  return { ...DEFAULT_CIRCUIT, failures, openMs, maxOpenMs: maxOpenMs ?? Math.max(openMs, DEFAULT_CIRCUIT.maxOpenMs) };
}
