import type { AgentContext, AgentTask, TaskContext } from '../agent/context.js';
import { type Clock, MAX_TIMER_MS } from '../core/clock.js';
import { deadlineExceeded, type TroupeError } from '../core/errors.js';
import type { TaskId } from '../core/ids.js';
import type { Json } from '../core/json.js';
import { type Payload, type PayloadInput, payloadJson, payloadText, toPayload } from '../core/payload.js';

/** A task that has reached its agent. */
export interface TaskInput {
  readonly id: TaskId;
  readonly attempt: number;
  readonly requiredCapabilities: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** Decoded when the agent asks, so that a task that is refused costs nothing. @throws TroupeError INVALID_ARGUMENT */
  readonly payload: () => Payload;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly traceparent: string | undefined;
}

/** Where partial results go; absent for callers that want the result only. */
export interface TaskSink {
  chunk(content: Payload): Promise<void>;
  progress(fraction: number, note: string): Promise<void>;
}

type TurnState = { readonly kind: 'open' } | { readonly kind: 'ended'; readonly error: TroupeError };

/** The agent's handling of one task: what it sees, and how it is called off. */
export class Turn {
  readonly result: Promise<Payload>;
  readonly arrivedAtMs: number;
  private state: TurnState = { kind: 'open' };
  private begun = false;
  private onBegin: () => void = () => undefined;
  private disarm: () => void = () => undefined;
  private controller: AbortController | undefined;
  private resolve: (payload: Payload) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;

  constructor(
    readonly input: TaskInput,
    private readonly sink: TaskSink | undefined,
    private readonly clock: Clock,
  ) {
    this.arrivedAtMs = clock.monotonicMs();
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  get ended(): boolean {
    return this.state.kind === 'ended';
  }

  /** Made on first use: a signal per task costs more than the rest of the turn. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.state.kind === 'ended' && !this.controller.signal.aborted) this.controller.abort(this.state.error);
    return this.controller.signal;
  }

  remainingMs(): number {
    return Math.max(0, this.input.deadlineMs - this.clock.now());
  }

  /** Resolves when the agent takes the task from its mailbox; stays open for one that is called off before. */
  get begins(): Promise<void> {
    if (this.begun) return Promise.resolve();
    return new Promise((resolve) => {
      this.onBegin = resolve;
    });
  }

  /** Ends the turn when its deadline passes, whether it waits or has begun. */
  watchDeadline(): void {
    const ms = this.remainingMs();
    if (ms <= MAX_TIMER_MS) this.disarm = this.clock.after(ms, () => this.cancel(this.late()));
  }

  /** The caller's wait ends with `error` now; work that has begun learns it from its signal. */
  cancel(error: TroupeError): void {
    if (this.state.kind === 'ended') return;
    this.disarm();
    this.state = { kind: 'ended', error };
    this.controller?.abort(error);
    this.reject(error);
  }

  /** Works on the task. Never throws: the outcome is `result`. Gives whether the task completed. */
  async run(
    handle: (task: AgentTask, turn: Turn) => PayloadInput | Promise<PayloadInput>,
    onError: (error: unknown) => unknown,
  ): Promise<boolean> {
    if (this.state.kind === 'open' && this.remainingMs() === 0) this.cancel(this.late());
    if (this.state.kind === 'ended') return false;
    this.begun = true;
    this.onBegin();
    try {
      this.resolve(toPayload(await handle(new AgentTaskView(this.input), this)));
      return true;
    } catch (error) {
      this.reject(onError(error));
      return false;
    } finally {
      this.disarm();
    }
  }

  async emit(chunk: PayloadInput): Promise<void> {
    if (this.state.kind === 'open') await this.sink?.chunk(toPayload(chunk));
  }

  async progress(fraction: number, note = ''): Promise<void> {
    if (this.state.kind === 'open') await this.sink?.progress(Math.min(1, Math.max(0, fraction)), note.slice(0, MAX_NOTE_CHARS));
  }

  private late(): TroupeError {
    return this.begun ? deadlineExceeded() : deadlineExceeded('the deadline passed while the task waited for its agent');
  }
}

const MAX_NOTE_CHARS = 1024;

/** A task as its author sees it. */
export class AgentTaskView implements AgentTask {
  private decoded: Payload | undefined;

  constructor(private readonly input: TaskInput) {}

  get id(): string {
    return this.input.id;
  }
  get attempt(): number {
    return this.input.attempt;
  }
  get requiredCapabilities(): readonly string[] {
    return this.input.requiredCapabilities;
  }
  get labels(): ReadonlyMap<string, string> {
    return this.input.labels;
  }
  get payload(): Payload {
    this.decoded ??= this.input.payload();
    return this.decoded;
  }
  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }
  text(): string {
    return payloadText(this.payload);
  }
}

/** What all turns of an activation share. */
export interface SharedContext extends Omit<AgentContext, 'signal'> {
  readonly state: unknown;
}

/** `ctx` of one turn. */
export class TurnContext implements TaskContext {
  constructor(
    private readonly shared: SharedContext,
    private readonly turn: Turn,
  ) {}

  get agentId() {
    return this.shared.agentId;
  }
  get nodeId() {
    return this.shared.nodeId;
  }
  get manifest() {
    return this.shared.manifest;
  }
  get capabilities() {
    return this.shared.capabilities;
  }
  get config() {
    return this.shared.config;
  }
  get logger() {
    return this.shared.logger;
  }
  get state() {
    return this.shared.state;
  }
  get signal() {
    return this.turn.signal;
  }
  get traceparent() {
    return this.turn.input.traceparent;
  }
  remainingMs(): number {
    return this.turn.remainingMs();
  }
  emit(chunk: PayloadInput): Promise<void> {
    return this.turn.emit(chunk);
  }
  progress(fraction: number, note?: string): Promise<void> {
    return this.turn.progress(fraction, note);
  }
}
