import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { abortError, messageOf, TroupeError } from '../core/errors.js';
import type { Logger } from '../telemetry/logger.js';
import { Mailbox } from './mailbox.js';
import { type SharedContext, type TaskInput, type TaskSink, Turn, TurnContext } from './turn.js';

export type ActivationState =
  | { readonly kind: 'initialized' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ActivationStatus {
  readonly manifest: AgentManifest;
  readonly state: ActivationState;
  readonly stateSinceMs: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly completed: number;
  readonly failed: number;
  readonly refused: number;
}

export interface StopReport {
  /** Tasks that ended in the grace time. */
  readonly finished: number;
  /** Tasks that were called off at its end. */
  readonly cancelled: number;
}

export interface ActivationDeps {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long an agent's work may take to heed its signal before its activation is given up. */
const HEED_MS = 1_000;
/** After a full mailbox refused: a router finds another agent sooner than this one frees a place. */
const FULL_RETRY_MS = 100;

/** One live agent: initialized → starting → running → stopping → stopped; failed where its start failed. */
export class Activation {
  private state: ActivationState = { kind: 'initialized' };
  private stateSinceMs: number;
  private readonly mailbox: Mailbox<Turn>;
  private readonly running = new Set<Turn>();
  private readonly ending = new AbortController();
  private readonly logger: Logger;
  private shared: SharedContext;
  private started: Promise<void> = Promise.resolve();
  private stopped: Promise<StopReport> | undefined;
  private counts = { completed: 0, failed: 0, refused: 0 };

  /** `manifest` is complete: the kind's defaults are filled in. */
  constructor(
    private readonly definition: AnyAgentDefinition,
    readonly manifest: AgentManifest,
    private readonly deps: ActivationDeps,
  ) {
    this.logger = deps.logger.child({ agent: manifest.id });
    this.stateSinceMs = deps.clock.now();
    this.shared = {
      agentId: manifest.id,
      nodeId: deps.nodeId,
      manifest,
      capabilities: manifest.capabilities,
      config: manifest.config,
      logger: this.logger,
      state: undefined,
    };
    this.mailbox = new Mailbox({ concurrency: manifest.concurrency, capacity: manifest.mailboxCapacity }, (turn) =>
      this.work(turn),
    );
  }

  status(): ActivationStatus {
    return {
      manifest: this.manifest,
      state: this.state,
      stateSinceMs: this.stateSinceMs,
      inFlight: this.mailbox.inFlight,
      queued: this.mailbox.queued,
      ...this.counts,
    };
  }

  /** Tasks the agent works on. */
  get inFlight(): number {
    return this.mailbox.inFlight;
  }

  /** Tasks that wait. */
  get queued(): number {
    return this.mailbox.queued;
  }

  /** @throws FAILED_PRECONDITION / AGENT_START_FAILED, saying why. */
  async start(): Promise<void> {
    this.enter({ kind: 'starting' });
    const started = this.startOnce();
    this.started = started.catch(() => undefined);
    try {
      await started;
      this.enter({ kind: 'running' });
    } catch (error) {
      const reason = messageOf(error);
      this.enter({ kind: 'failed', reason });
      this.logger.warn('agent failed to start', { reason });
      throw new TroupeError(
        'FAILED_PRECONDITION',
        'AGENT_START_FAILED',
        `agent "${this.manifest.id}" failed to start: ${reason}`,
        {
          metadata: { agent_id: this.manifest.id },
          cause: error,
        },
      );
    }
  }

  /**
   * Hands a task to the agent. @throws when the agent cannot take it, and has not: FAILED_PRECONDITION / AGENT_NOT_RUNNING,
   * RESOURCE_EXHAUSTED / MAILBOX_FULL.
   */
  execute(input: TaskInput, sink?: TaskSink): Turn {
    if (this.state.kind !== 'running') {
      throw new TroupeError(
        'FAILED_PRECONDITION',
        'AGENT_NOT_RUNNING',
        `agent "${this.manifest.id}" is ${this.state.kind}, not running`,
        notStarted(this.manifest.id),
      );
    }
    const turn = new Turn(input, sink, this.deps.clock);
    if (!this.mailbox.offer(turn)) {
      this.counts.refused += 1;
      throw new TroupeError(
        'RESOURCE_EXHAUSTED',
        'MAILBOX_FULL',
        `the mailbox of agent "${this.manifest.id}" is full (${this.manifest.mailboxCapacity} wait); try later, or deploy more agents of its capabilities`,
        {
          ...notStarted(this.manifest.id),
          retryAfterMs: FULL_RETRY_MS,
          violations: [{ field: `agent:${this.manifest.id}`, description: `mailbox capacity ${this.manifest.mailboxCapacity}` }],
        },
      );
    }
    turn.watchDeadline();
    return turn;
  }

  /**
   * Takes no more tasks, lets those it has finish for `graceMs`, calls off the rest, and stops. One that has not started yet is told to
   * give up. Who calls again waits for the first, at most for a grace time of its own, and reports nothing.
   */
  async stop(graceMs: number): Promise<StopReport> {
    if (this.stopped === undefined) {
      this.stopped = this.stopOnce(graceMs);
      return this.stopped;
    }
    await this.within(graceMs, this.stopped);
    if (this.callOff() > 0) await this.within(HEED_MS, this.stopped);
    return NOTHING_DONE;
  }

  private async startOnce(): Promise<void> {
    const config: unknown =
      this.definition.config === undefined ? this.manifest.config : this.definition.config.parse(this.manifest.config);
    this.shared = { ...this.shared, config };
    const { signal } = this.ending;
    const state: unknown = await this.definition.start?.({ ...this.shared, config, signal });
    this.shared = { ...this.shared, state };
    if (!signal.aborted) return;
    await this.runStop();
    throw abortError(signal);
  }

  private async stopOnce(graceMs: number): Promise<StopReport> {
    if (this.state.kind === 'starting') {
      this.ending.abort(new TroupeError('CANCELLED', 'AGENT_STOPPED', 'it was stopped before it had started'));
      await this.within(graceMs, this.started);
    }
    if (this.state.kind !== 'running') return NOTHING_DONE;
    this.enter({ kind: 'stopping' });
    const endedBefore = this.counts.completed + this.counts.failed;
    await this.within(graceMs, this.mailbox.whenIdle());
    const finished = this.counts.completed + this.counts.failed - endedBefore;
    const cancelled = this.callOff();
    if (cancelled > 0) await this.within(HEED_MS, this.mailbox.whenIdle());
    this.ending.abort();
    await this.runStop();
    this.enter({ kind: 'stopped' });
    return { finished, cancelled };
  }

  private callOff(): number {
    const waiting = this.mailbox.clear();
    const error = (details: object) =>
      new TroupeError('UNAVAILABLE', 'AGENT_STOPPED', `agent "${this.manifest.id}" stopped before the task was done`, details);
    for (const turn of waiting) turn.cancel(error(notStarted(this.manifest.id)));
    for (const turn of this.running) turn.cancel(error({}));
    return waiting.length + this.running.size;
  }

  private async runStop(): Promise<void> {
    try {
      await this.definition.stop?.({ ...this.shared, signal: this.ending.signal });
    } catch (error) {
      this.logger.warn('agent failed to stop', { error });
    }
  }

  private async work(turn: Turn): Promise<void> {
    this.running.add(turn);
    const done = await turn.run(
      (task) => this.definition.run(task, new TurnContext(this.shared, turn)),
      (error) => this.taskError(turn, error),
    );
    this.running.delete(turn);
    if (done) this.counts.completed += 1;
    else this.counts.failed += 1;
  }

  /** What the caller of a task sees of what its agent threw: a TroupeError nearly as it is, anything else by its message alone. */
  private taskError(turn: Turn, error: unknown): TroupeError {
    if (error instanceof TroupeError) return asAnswer(error);
    // Whose caller has gone may well throw: nobody sees it.
    if (!turn.ended) this.logger.warn('agent failed a task', { task: turn.input.id, error });
    return new TroupeError('UNKNOWN', 'AGENT_ERROR', `agent "${this.manifest.id}" failed: ${messageOf(error)}`, {
      metadata: { agent_id: this.manifest.id, node_id: this.deps.nodeId },
    });
  }

  /** Waits for `work`, but no longer than `ms`. */
  private async within(ms: number, work: Promise<unknown>): Promise<void> {
    const waited = new AbortController();
    await Promise.race([work, delay(ms, waited.signal, this.deps.clock).catch(() => undefined)]);
    waited.abort();
  }

  private enter(state: ActivationState): void {
    this.state = state;
    this.stateSinceMs = this.deps.clock.now();
    this.logger.debug('agent changed state', { state: state.kind });
  }
}

const NOTHING_DONE: StopReport = { finished: 0, cancelled: 0 };

/**
 * An error that an agent passes on, of a call that it made itself, must not speak of this task: the agent has begun it, whatever
 * did not start elsewhere, and its answer is not a failure of the transport (whose reasons are their codes).
 */
function asAnswer(error: TroupeError): TroupeError {
  const { started, ...metadata } = error.metadata;
  const { code, message, violations, retryAfterMs } = error;
  const isOurs = error.reason !== code && !UNKNOWN_OUTCOMES.has(error.reason);
  if (started === undefined && isOurs) return error;
  const reason = isOurs ? error.reason : 'AGENT_ERROR';
  return new TroupeError(code, reason, message, { metadata, violations, retryAfterMs, cause: error });
}

/** Reasons by which routers know that the outcome of their own try is unknown: not for an agent to give of somebody else's. */
const UNKNOWN_OUTCOMES: ReadonlySet<string> = new Set(['NODE_LOST', 'AGENT_STOPPED', 'NOT_CONNECTED']);

/** Marks a refusal that came before the agent saw the task: routers may send it elsewhere. */
export function notStarted(agentId: string): { readonly metadata: Readonly<Record<string, string>> } {
  return { metadata: { started: 'false', agent_id: agentId } };
}
