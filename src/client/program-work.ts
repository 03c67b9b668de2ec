import type { AgentTask } from '../agent/context.js';
import type { AgentMessage, MessageOptions, RequestOptions, SendOptions, Subscription } from '../agent/messages.js';
import { type Clock, MAX_TIMER_MS } from '../core/clock.js';
import { deadlineExceeded, messageOf, TroupeError } from '../core/errors.js';
import type { Json } from '../core/json.js';
import { type Payload, type PayloadInput, payloadJson, payloadText, toPayload } from '../core/payload.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { decodePayload, encodePayload } from '../rpc/codec/payload.js';
import { toStatusMessage } from '../rpc/status.js';
import { PartGate, streamOverflow } from '../runtime/part-gate.js';
import { type TraceHeaders, traceHeadersOf, traceRecord } from '../telemetry/trace-headers.js';
import type { AttachedTaskContext, AttachOptions } from './attach-options.js';
import { ProgramMessenger } from './program-messenger.js';
import type { ProgramSession } from './program-session.js';

/** Of the 4 MiB that a message of gRPC may have, 64 KiB are left to what goes with it. */
const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024 - 64 * 1024;

interface Place {
  readonly agentId: string;
  readonly nodeId: string;
}

/** The agent whose work it is. */
export interface WorkingAgent {
  place(): Place;
  subscribe(pattern: string): Promise<Subscription>;
}

/** What an attached agent has been given over one session, and works on. */
export class ProgramWork {
  private readonly pieces = new Map<bigint, Piece>();
  private idle: (() => void)[] = [];

  constructor(
    private readonly options: AttachOptions,
    private readonly session: ProgramSession,
    private readonly agent: WorkingAgent,
  ) {}

  given(envelope: RoutedEnvelope): void {
    const { kind, correlationId: id } = envelope;
    switch (kind) {
      case EnvelopeKind.ENVELOPE_KIND_TASK:
      case EnvelopeKind.ENVELOPE_KIND_SEND:
      case EnvelopeKind.ENVELOPE_KIND_REQUEST: {
        const piece = new Piece(envelope, this.session, this.agent);
        this.pieces.set(id, piece);
        void piece.work(this.options).finally(() => {
          this.pieces.delete(id);
          if (this.pieces.size === 0) for (const wake of this.idle.splice(0)) wake();
        });
        return;
      }
      case EnvelopeKind.ENVELOPE_KIND_CANCEL:
        this.pieces.get(id)?.cancel(new TroupeError('CANCELLED', 'CANCELLED', 'nobody waits for the answer any more'));
        return;
      case EnvelopeKind.ENVELOPE_KIND_DEMAND:
        this.pieces.get(id)?.gate?.add(envelope.demand);
        return;
      default:
    }
  }

  /** Nobody waits for any of it any more. */
  cancel(error: TroupeError): void {
    for (const piece of this.pieces.values()) piece.cancel(error);
  }

  /** Resolves when all of it is done. */
  whenIdle(): Promise<void> {
    if (this.pieces.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }
}

/** One task or message: what the author's function sees, and what is said about it. */
class Piece implements AttachedTaskContext {
  readonly gate: PartGate | undefined;
  private readonly place: Place;
  private readonly controller = new AbortController();
  private readonly clock: Clock;
  private readonly deadlineMs: number;
  private readonly messenger: ProgramMessenger;
  private readonly disarm: () => void;
  private readonly trace: TraceHeaders | undefined;
  private parts = 0n;

  constructor(
    private readonly envelope: RoutedEnvelope,
    private readonly session: ProgramSession,
    private readonly agent: WorkingAgent,
  ) {
    this.place = agent.place();
    const { deadline, streaming, demand } = envelope;
    this.clock = session.clock;
    this.deadlineMs = deadline?.getTime() ?? Number.POSITIVE_INFINITY;
    this.trace = traceHeadersOf((name) => envelope.headers.get(name));
    this.gate = streaming ? new PartGate(demand) : undefined;
    this.messenger = new ProgramMessenger(() => session, { deadlineMs: this.deadlineMs, trace: this.trace });
    const isAwaited = envelope.kind !== EnvelopeKind.ENVELOPE_KIND_SEND && this.remainingMs() <= MAX_TIMER_MS;
    this.disarm = isAwaited ? this.clock.after(this.remainingMs(), () => this.cancel(deadlineExceeded())) : () => undefined;
  }

  get agentId(): string {
    return this.place.agentId;
  }
  get nodeId(): string {
    return this.place.nodeId;
  }
  get signal(): AbortSignal {
    return this.controller.signal;
  }
  get traceparent(): string | undefined {
    return this.trace?.traceparent;
  }
  get traceHeaders(): Readonly<Record<string, string>> {
    return traceRecord(this.trace);
  }

  remainingMs(): number {
    return Math.max(0, this.deadlineMs - this.clock.now());
  }

  async emit(chunk: PayloadInput): Promise<void> {
    if (this.gate === undefined || this.signal.aborted) return;
    if (this.gate.isShut && this.gate.isFull) {
      // An answer with a gap would be a wrong one.
      const error = streamOverflow();
      this.fail(error);
      this.cancel(error);
      return;
    }
    await this.gate.pass();
    if (this.signal.aborted) return;
    this.parts += 1n;
    this.say({ kind: EnvelopeKind.ENVELOPE_KIND_CHUNK, sequence: this.parts, payload: fitting(encodePayload(toPayload(chunk))) });
  }

  async progress(fraction: number, note = ''): Promise<void> {
    if (this.gate !== undefined && !this.signal.aborted)
      this.say({ kind: EnvelopeKind.ENVELOPE_KIND_PROGRESS, progress: { fraction, note } });
  }

  send(to: string, payload?: PayloadInput, options?: SendOptions) {
    return this.messenger.send(to, payload, options);
  }
  request(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.messenger.request(to, payload, options);
  }
  stream(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.messenger.stream(to, payload, options);
  }
  subscribe(pattern: string) {
    return this.agent.subscribe(pattern);
  }
  broadcast(topic: string, payload?: PayloadInput, options?: MessageOptions) {
    return this.messenger.broadcast(topic, payload, options);
  }

  cancel(error: TroupeError): void {
    this.controller.abort(error);
    this.gate?.open();
  }

  /** Never rejects. */
  async work(options: AttachOptions): Promise<void> {
    try {
      const payload = fitting(encodePayload(toPayload(await this.result(options))));
      if (!this.signal.aborted) this.answer(payload);
    } catch (error) {
      if (!this.signal.aborted) this.fail(error);
    } finally {
      this.disarm();
    }
  }

  private async result({ run, receive }: AttachOptions): Promise<PayloadInput> {
    const { task } = this.envelope;
    if (task !== undefined && run !== undefined) {
      const { id, requiredCapabilities, labels, payload } = task;
      const attempt = this.envelope.attempt || 1;
      return run(Object.assign(new Contents(payload), { id, attempt, requiredCapabilities, labels }) satisfies AgentTask, this);
    }
    if (task !== undefined || receive === undefined)
      throw new TroupeError(
        'UNIMPLEMENTED',
        'UNIMPLEMENTED',
        `agent "${this.agentId}" takes no ${task === undefined ? 'messages' : 'tasks'}`,
      );
    const { from, id, topic, headers, payload } = this.envelope;
    const kind = this.envelope.kind === EnvelopeKind.ENVELOPE_KIND_REQUEST ? ('request' as const) : ('send' as const);
    const message = Object.assign(new Contents(payload), { kind, from, id, topic, headers }) satisfies AgentMessage;
    return (await receive(message, this)) as PayloadInput;
  }

  private answer(payload: Buffer): void {
    switch (this.envelope.kind) {
      case EnvelopeKind.ENVELOPE_KIND_TASK:
        this.say({ kind: EnvelopeKind.ENVELOPE_KIND_RESULT, result: { ...BLANK_RESULT, payload } });
        break;
      case EnvelopeKind.ENVELOPE_KIND_REQUEST:
        this.say({ kind: EnvelopeKind.ENVELOPE_KIND_RESPONSE, payload });
        break;
      default:
        this.say({ kind: EnvelopeKind.ENVELOPE_KIND_ACK });
    }
  }

  private fail(error: unknown): void {
    const known = error instanceof TroupeError ? error : new TroupeError('UNKNOWN', 'AGENT_ERROR', messageOf(error));
    const kind =
      this.envelope.kind === EnvelopeKind.ENVELOPE_KIND_SEND ? EnvelopeKind.ENVELOPE_KIND_ACK : EnvelopeKind.ENVELOPE_KIND_ERROR;
    try {
      this.say({ kind, error: toStatusMessage(known) });
    } catch {
      // Too much waits to be sent: nobody hears of it before the deadline.
    }
  }

  private say(fields: Partial<RoutedEnvelope>): void {
    this.session.send({ ...fields, correlationId: this.envelope.correlationId });
  }
}

/** @throws RESOURCE_EXHAUSTED / RESULT_TOO_LARGE. */
function fitting(payload: Buffer): Buffer {
  if (payload.length <= MAX_PAYLOAD_BYTES) return payload;
  throw new TroupeError(
    'RESOURCE_EXHAUSTED',
    'RESULT_TOO_LARGE',
    `the answer has ${payload.length} bytes; at most ${MAX_PAYLOAD_BYTES} can be sent: emit it in chunks`,
  );
}

/** Something with a payload, decoded when it is looked at. */
class Contents {
  private decoded: Payload | undefined;

  constructor(private readonly encoded: Buffer) {}

  get payload(): Payload {
    this.decoded ??= decodePayload(this.encoded);
    return this.decoded;
  }

  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }

  text(): string {
    return payloadText(this.payload);
  }
}

const BLANK_RESULT = {
  taskId: '',
  agentId: '',
  nodeId: '',
  attempt: 0,
  duration: undefined,
  state: 0,
  fallbackCapability: '',
  defaultAnswer: false,
};
