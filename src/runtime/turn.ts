import type { AgentContext, AgentTask, TaskContext } from '../agent/context.js';
import type { AgentMessage, MessageOptions, Messenger, RequestOptions, SendOptions, Subscription } from '../agent/messages.js';
import { type Clock, MAX_TIMER_MS } from '../core/clock.js';
import { deadlineExceeded, type TroupeError } from '../core/errors.js';
import type { TaskId } from '../core/ids.js';
import type { Json } from '../core/json.js';
import { type Payload, type PayloadInput, payloadJson, payloadText, toPayload } from '../core/payload.js';
import type { Priority } from '../core/priority.js';
import type { Place } from '../core/priority-queue.js';
import type { Logger } from '../telemetry/logger.js';
import { type TraceHeaders, traceRecord } from '../telemetry/trace-headers.js';
import { type Hop, silentSpan, traceFields } from '../telemetry/tracing.js';
import type { MailItem } from './mailbox.js';
import type { PostBox } from './post-office.js';

/** A task that has reached its agent. */
export interface TaskInput {
  readonly id: TaskId;
  readonly attempt: number;
  readonly requiredCapabilities: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly priority: Priority;
  /** Decoded when the agent asks, so that a task that is refused costs nothing. @throws TroupeError INVALID_ARGUMENT */
  readonly payload: () => Payload;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly trace: TraceHeaders | undefined;
  /** The part of the trace that the agent's work is. */
  readonly hop?: Hop | undefined;
}

/** Where partial results go; absent for callers that want the result only. */
export interface TaskSink {
  chunk(content: Payload): Promise<void>;
  progress(fraction: number, note: string): Promise<void>;
}

/** Who has taken a task in, and hears when it is called off: at most once, and not after it is done. */
export interface TurnOwner {
  /** The wait of its caller has ended with `error`; where the agent has begun it, its work may go on. */
  calledOff(turn: Turn, error: TroupeError): void;
}

/** How the agent's part of a turn ended. */
export type TurnEnd = 'completed' | 'called_off' | TroupeError;

type TurnState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'working' }
  | { readonly kind: 'done' }
  | { readonly kind: 'called_off'; readonly error: TroupeError };

const WAITING: TurnState = { kind: 'waiting' };
const WORKING: TurnState = { kind: 'working' };
const DONE: TurnState = { kind: 'done' };

/** The agent's handling of one task: what it sees, and how it is called off. */
export class Turn implements MailItem<Turn> {
  readonly result: Promise<Payload>;
  /** On the monotonic clock. */
  readonly arrivedAtMs: number;
  /** When the agent took it from its mailbox, on the monotonic clock; undefined before. */
  begunAtMs: number | undefined;
  place: Place<Turn> | undefined;
  /** Whether there was no free place for it when it came. */
  hasWaited = false;
  private state: TurnState = WAITING;
  /** Told when it is called off: what `signal` does, cheaper. */
  onCancel: ((error: TroupeError) => void) | undefined;
  private onBegin: () => void = () => undefined;
  private disarm: () => void = () => undefined;
  private controller: AbortController | undefined;
  private resolve: (payload: Payload) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;

  /** `era`: of the circuit that let it through; undefined where there is none, and once the circuit has been told how it went. */
  constructor(
    readonly input: TaskInput,
    private readonly sink: TaskSink | undefined,
    private readonly clock: Clock,
    private readonly owner: TurnOwner,
    public era: number | undefined,
  ) {
    this.arrivedAtMs = clock.monotonicMs();
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  get priority(): Priority {
    return this.input.priority;
  }

  /** Whether somebody wants more than the result. */
  get isStreamed(): boolean {
    return this.sink !== undefined;
  }

  get isCalledOff(): boolean {
    return this.state.kind === 'called_off';
  }

  /** Made on first use: a signal per task costs more than the rest of the turn. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.state.kind === 'called_off' && !this.controller.signal.aborted) this.controller.abort(this.state.error);
    return this.controller.signal;
  }

  remainingMs(): number {
    return Math.max(0, this.input.deadlineMs - this.clock.now());
  }

  /** Resolves when the agent takes the task from its mailbox; stays open for one that is called off before. */
  get begins(): Promise<void> {
    if (this.begunAtMs !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.onBegin = resolve;
    });
  }

  /** Ends the turn when its deadline passes, whether it waits or has begun. */
  watchDeadline(): void {
    if (!this.isOpen) return;
    const ms = this.remainingMs();
    if (ms <= MAX_TIMER_MS) this.disarm = this.clock.after(ms, () => this.cancel(this.late()));
  }

  /** The caller's wait ends with `error` now; work that has begun learns it from its signal. Nothing happens after the turn is done. */
  cancel(error: TroupeError): void {
    if (!this.isOpen) return;
    this.disarm();
    this.state = { kind: 'called_off', error };
    this.controller?.abort(error);
    this.onCancel?.(error);
    this.reject(error);
    this.owner.calledOff(this, error);
  }

  /** Works on the task. Never throws: the outcome is `result`; `onError` makes the error that the caller sees of what was thrown. */
  async run(
    handle: (task: AgentTask, turn: Turn) => PayloadInput | Promise<PayloadInput>,
    onError: (error: unknown) => TroupeError,
  ): Promise<TurnEnd> {
    if (this.remainingMs() === 0) this.cancel(this.late());
    if (this.isCalledOff) return 'called_off';
    this.state = WORKING;
    this.begunAtMs = this.clock.monotonicMs();
    this.onBegin();
    const { hop } = this.input;
    const work = () => handle(new AgentTaskView(this.input), this);
    try {
      const payload = toPayload(await (hop === undefined ? work() : hop.run(work)));
      this.resolve(payload);
      return this.finish('completed');
    } catch (thrown) {
      const error = onError(thrown);
      this.reject(error);
      return this.finish(error);
    }
  }

  private finish(end: TurnEnd): TurnEnd {
    this.disarm();
    if (this.isCalledOff) return 'called_off';
    this.state = DONE;
    return end;
  }

  private get isOpen(): boolean {
    return this.state === WAITING || this.state === WORKING;
  }

  async emit(chunk: PayloadInput): Promise<void> {
    if (this.isOpen) await this.sink?.chunk(toPayload(chunk));
  }

  async progress(fraction: number, note = ''): Promise<void> {
    if (this.isOpen) await this.sink?.progress(Math.min(1, Math.max(0, fraction)), note.slice(0, MAX_NOTE_CHARS));
  }

  private late(): TroupeError {
    return this.begunAtMs !== undefined
      ? deadlineExceeded()
      : deadlineExceeded('the deadline passed while the task waited for its agent');
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
export interface SharedContext extends Omit<AgentContext, 'signal' | keyof Messenger | 'subscribe'> {
  readonly state: unknown;
}

/** How the turns of an activation talk. */
export interface TurnTalk {
  readonly box: PostBox;
  subscribe(pattern: string, handler?: (message: AgentMessage) => unknown): Promise<Subscription>;
}

/** `ctx` of one turn. */
export class TurnContext implements TaskContext {
  private messenger: Messenger | undefined;
  private traced: Logger | undefined;

  constructor(
    private readonly shared: SharedContext,
    readonly turn: Turn,
    private readonly talk: TurnTalk,
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
  /** With the ids of its trace, made on first use. */
  get logger() {
    const { traceparent } = this;
    if (traceparent === undefined) return this.shared.logger;
    this.traced ??= this.shared.logger.child(traceFields(traceparent) ?? {});
    return this.traced;
  }
  get span() {
    return this.turn.input.hop?.span ?? silentSpan(this.traceparent);
  }
  get state() {
    return this.shared.state;
  }
  get signal() {
    return this.turn.signal;
  }
  get traceparent() {
    return this.turn.input.trace?.traceparent;
  }
  get traceHeaders() {
    return traceRecord(this.turn.input.trace);
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
  send(to: string, payload?: PayloadInput, options?: SendOptions): Promise<true> {
    return this.post().send(to, payload, options);
  }
  request(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.post().request(to, payload, options);
  }
  stream(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.post().stream(to, payload, options);
  }
  broadcast(topic: string, payload?: PayloadInput, options?: MessageOptions) {
    return this.post().broadcast(topic, payload, options);
  }
  subscribe(pattern: string, handler?: (message: AgentMessage) => unknown): Promise<Subscription> {
    return this.talk.subscribe(pattern, handler);
  }

  private post(): Messenger {
    const { deadlineMs, trace } = this.turn.input;
    this.messenger ??= this.talk.box.within({ deadlineMs, trace });
    return this.messenger;
  }
}
