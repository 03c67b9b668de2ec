import type { AgentContext } from '../agent/context.js';
import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { abortError, messageOf, TroupeError } from '../core/errors.js';
import type { CircuitState } from '../resilience/circuit-breaker.js';
import type { Logger } from '../telemetry/logger.js';
import { type Tracing, traceFields } from '../telemetry/tracing.js';
import { Admission, type AdmissionStatus } from './admission.js';
import { AgentMail } from './agent-mail.js';
import type { PostOffice } from './post-office.js';
import { NotBegun, notStarted } from './refusals.js';
import { type SharedContext, type TaskInput, type TaskSink, type Turn, TurnContext, type TurnEnd } from './turn.js';

export type ActivationState =
  | { readonly kind: 'initialized' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ActivationStatus extends AdmissionStatus {
  readonly manifest: AgentManifest;
  readonly state: ActivationState;
  readonly stateSinceMs: number;
  readonly messages: MessageCounts;
}

export interface MessageCounts {
  readonly inFlight: number;
  readonly queued: number;
  readonly handled: number;
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
  /** Carries its messages. */
  readonly post: PostOffice;
  /** Undefined: no spans are made. */
  readonly tracing?: Tracing | undefined;
  /** Hears of each change of an agent's circuit. */
  readonly onCircuit?: ((to: CircuitState['kind']) => void) | undefined;
  /** Why it takes no tasks now although it runs; undefined when it does. */
  readonly refusal?: (() => TroupeError | undefined) | undefined;
}

/** How long an agent's work may take to heed its signal before its activation is given up. */
const HEED_MS = 1_000;

/** One live agent: initialized → starting → running → stopping → stopped; failed where its start failed. */
export class Activation {
  private state: ActivationState = { kind: 'initialized' };
  private stateSinceMs: number;
  private readonly admission: Admission;
  private readonly ending = new AbortController();
  private readonly logger: Logger;
  private shared: SharedContext;
  private started: Promise<void> = Promise.resolve();
  private stopped: Promise<StopReport> | undefined;
  private readonly mail: AgentMail;

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
    const { nodeId, clock, onCircuit } = deps;
    const circuit = definition.circuit ?? {};
    this.admission = new Admission({ manifest, circuit, nodeId, clock, logger: this.logger, onCircuit }, (turn) =>
      this.run(turn),
    );
    this.mail = new AgentMail(
      {
        manifest,
        receive: definition.receive,
        scope: () => this.shared,
        ending: this.ending.signal,
        answerError: (error) => this.agentError(error),
        notRunning: () => (this.state.kind === 'running' ? undefined : this.notRunning()),
        clock,
        logger: this.logger,
        tracing: deps.tracing,
      },
      deps.post,
    );
  }

  status(): ActivationStatus {
    const { manifest, state, stateSinceMs } = this;
    return { manifest, state, stateSinceMs, ...this.admission.status(), messages: this.mail.counts() };
  }

  /** Tasks the agent works on. */
  get inFlight(): number {
    return this.admission.inFlight;
  }

  /** Tasks that wait. */
  get queued(): number {
    return this.admission.queued;
  }

  /** Tasks the agent works on at once at most now. */
  get concurrencyLimit(): number {
    return this.admission.concurrencyLimit;
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

  /** Hands a task to the agent. @throws FAILED_PRECONDITION / AGENT_NOT_RUNNING, and what Admission.admit throws. */
  execute(input: TaskInput, sink?: TaskSink): Turn {
    if (this.state.kind !== 'running') throw this.notRunning();
    const refusal = this.deps.refusal?.();
    if (refusal !== undefined) throw refusal;
    return this.admission.admit(input, sink);
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
    if (this.admission.callOff() > 0) await this.within(HEED_MS, this.stopped);
    return NOTHING_DONE;
  }

  private async startOnce(): Promise<void> {
    const { signal } = this.ending;
    try {
      const config: unknown =
        this.definition.config === undefined ? this.manifest.config : this.definition.config.parse(this.manifest.config);
      this.shared = { ...this.shared, config };
      const state: unknown = await this.definition.start?.({ ...this.context(), config, signal });
      this.shared = { ...this.shared, state };
      for (const topic of this.definition.topics) await this.mail.subscribe(topic);
    } catch (error) {
      this.mail.end(messageOf(error));
      throw error;
    }
    if (!signal.aborted) return;
    await this.runStop();
    this.mail.end('it was stopped');
    throw abortError(signal);
  }

  private async stopOnce(graceMs: number): Promise<StopReport> {
    if (this.state.kind === 'starting') {
      this.ending.abort(new TroupeError('CANCELLED', 'AGENT_STOPPED', 'it was stopped before it had started'));
      await this.within(graceMs, this.started);
    }
    if (this.state.kind !== 'running') return NOTHING_DONE;
    this.enter({ kind: 'stopping' });
    const { admission } = this;
    const endedBefore = admission.ended;
    this.mail.close();
    await this.within(graceMs, Promise.all([admission.whenIdle(), this.mail.whenIdle()]));
    const finished = admission.ended - endedBefore;
    const cancelled = admission.callOff();
    if (cancelled > 0) await this.within(HEED_MS, admission.whenIdle());
    this.ending.abort();
    await this.runStop();
    this.mail.end('it was stopped');
    this.enter({ kind: 'stopped' });
    return { finished, cancelled };
  }

  private async runStop(): Promise<void> {
    try {
      await this.definition.stop?.({ ...this.context(), state: this.shared.state, signal: this.ending.signal });
    } catch (error) {
      this.logger.warn('agent failed to stop', { error });
    }
  }

  private run(turn: Turn): Promise<TurnEnd> {
    return turn.run(
      (task) => this.definition.run(task, new TurnContext(this.shared, turn, this.mail)),
      (error) => this.taskError(turn, error),
    );
  }

  /** What the caller of a task sees of what its agent threw: a TroupeError nearly as it is, anything else by its message alone. */
  private taskError(turn: Turn, error: unknown): TroupeError {
    if (error instanceof NotBegun) return error;
    if (error instanceof TroupeError) return asAnswer(error);
    // Whose caller has gone may well throw: nobody sees it.
    if (!turn.isCalledOff)
      this.logger.warn('agent failed a task', { task: turn.input.id, error, ...traceFields(turn.input.trace?.traceparent) });
    return this.agentError(error);
  }

  /** What an agent threw, for whoever waits for its answer. */
  private agentError(error: unknown): TroupeError {
    if (error instanceof TroupeError) return asAnswer(error);
    return new TroupeError('UNKNOWN', 'AGENT_ERROR', `agent "${this.manifest.id}" failed: ${messageOf(error)}`, {
      metadata: { agent_id: this.manifest.id, node_id: this.deps.nodeId },
    });
  }

  /** What `start` and `stop` are given. */
  private context(): Omit<AgentContext, 'signal'> {
    const { shared, mail } = this;
    const { box } = mail;
    return {
      agentId: shared.agentId,
      nodeId: shared.nodeId,
      manifest: shared.manifest,
      capabilities: shared.capabilities,
      config: shared.config,
      logger: shared.logger,
      send: (...args) => box.send(...args),
      request: (...args) => box.request(...args),
      stream: (...args) => box.stream(...args),
      broadcast: (...args) => box.broadcast(...args),
      subscribe: (...args) => mail.subscribe(...args),
    };
  }

  private notRunning(): TroupeError {
    return new TroupeError(
      'FAILED_PRECONDITION',
      'AGENT_NOT_RUNNING',
      `agent "${this.manifest.id}" is ${this.state.kind}, not running`,
      notStarted(this.manifest.id),
    );
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
