import type { AgentContext, AgentTask, TaskContext } from '../agent/context.js';
import { type AgentDefinition, type AnyAgentDefinition, defineAgent } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import type { AgentMessage, Subscription } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import type { PayloadInput, TaggedPayload } from '../core/payload.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { Outbox, Sending } from '../link/outbox.js';
import { envelopeBytes } from '../link/session-frames.js';
import { Delivery } from '../runtime/delivery.js';
import { NotBegun, notStarted } from '../runtime/refusals.js';
import { TurnContext } from '../runtime/turn.js';
import { answer, errorOf, partOf, unknownCorrelation } from './agent-answers.js';
import { messageEnvelope, taskEnvelope } from './agent-envelopes.js';
import { ATTACHED_KIND } from './session-hello.js';

/** Something that a program has been given, and that it is to answer. */
interface Exchange {
  readonly sending: Sending;
  /** Whether parts of the answer are wanted. */
  readonly emit: ((part: PayloadInput) => Promise<void>) | undefined;
  readonly progress: ((fraction: number, note: string) => Promise<void>) | undefined;
  /** Parts more that the program may send, and has not been told of. */
  demandDue: number;
  /** Parts that its reader has not taken yet. */
  passing: number;
  /** The answer, once it is there: it goes behind the parts. */
  answer: Buffer | undefined;
  answered(payload: Buffer): void;
  failed(error: unknown): void;
}

export interface AttachedAgentPort {
  readonly manifest: AgentManifest;
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** There is something in the outbox. */
  wake(): void;
  /** The agent has been stopped. */
  stopped(): void;
}

type AgentState =
  | { readonly kind: 'serving' }
  /** Its stream broke: it may come back. */
  | { readonly kind: 'away' }
  /** It takes nothing new any more. */
  | { readonly kind: 'leaving' };

/** Parts of an answer that may be on their way. */
const DEMAND = 16;
/** A message without an answer that the program does not acknowledge keeps its place so long, or until its deadline. */
const UNACKNOWLEDGED_MS = 30_000;

/** A program as an agent: what its node gives it goes to the program, what the program says about it comes back. */
export class AttachedAgent {
  private readonly exchanges = new Map<number, Exchange>();
  private lastId = 0;
  private state: AgentState = { kind: 'serving' };
  private context: AgentContext | undefined;

  constructor(private readonly port: AttachedAgentPort) {}

  /** What the program works on, or is to. */
  get size(): number {
    return this.exchanges.size;
  }

  /** Whether all that is left to do is that readers take what it has answered. */
  get isBeingRead(): boolean {
    return this.size > 0 && [...this.exchanges.values()].every((exchange) => exchange.answer !== undefined);
  }

  /** Whether it takes nothing new any more. */
  get isLeaving(): boolean {
    return this.state.kind === 'leaving';
  }

  get definition(): AnyAgentDefinition {
    const { manifest } = this.port;
    const definition: AgentDefinition = defineAgent<unknown, unknown>({
      kind: ATTACHED_KIND,
      // What it really offers is in its manifest, and may be nothing.
      capabilities: [ATTACHED_KIND],
      concurrency: manifest.concurrency,
      mailboxCapacity: manifest.mailboxCapacity,
      start: (context) => {
        this.context = context;
      },
      run: (task, context) => this.run(task, context),
      stop: () => this.port.stopped(),
      receive: (message, { traceparent }) => this.message(message, traceparent),
    });
    return definition;
  }

  /** Why it takes no tasks now; undefined when it does. */
  readonly refusal = (): TroupeError | undefined => {
    const { id, capabilities } = this.port.manifest;
    if (this.state.kind === 'away')
      return new TroupeError(
        'UNAVAILABLE',
        'AGENT_DETACHED',
        `the stream of agent "${id}" broke; it is waited for`,
        notStarted(id),
      );
    if (this.state.kind === 'leaving') return leaving(id);
    if (capabilities.length > 0) return undefined;
    return new TroupeError(
      'FAILED_PRECONDITION',
      'NO_TASKS',
      `agent "${id}" has no capabilities: it takes messages only`,
      notStarted(id),
    );
  };

  /** The program has lost its stream. */
  away(): void {
    if (this.state.kind === 'serving') this.state = { kind: 'away' };
  }

  back(): void {
    if (this.state.kind === 'away') this.state = { kind: 'serving' };
  }

  /** It gets nothing new; what it has may still be answered. */
  leave(): void {
    this.state = { kind: 'leaving' };
    for (const [id, { sending, failed }] of this.exchanges) {
      if (!sending.withdraw()) continue;
      this.exchanges.delete(id);
      failed(leaving(this.port.manifest.id));
    }
  }

  /** It is gone: nothing will be answered. */
  end(): void {
    this.leave();
    const { id } = this.port.manifest;
    for (const { failed } of this.exchanges.values())
      failed(new TroupeError('UNAVAILABLE', 'AGENT_STOPPED', `agent "${id}" left before it had answered`));
    this.exchanges.clear();
  }

  subscribe(pattern: string): Promise<Subscription> {
    if (this.context === undefined) throw new TroupeError('UNAVAILABLE', 'AGENT_STOPPED', 'the agent has not started');
    return this.context.subscribe(pattern);
  }

  /** What the program says about something that it was given. @throws INVALID_ARGUMENT / UNKNOWN_CORRELATION_ID. */
  receive(envelope: RoutedEnvelope): void {
    const id = Number(envelope.correlationId);
    const exchange = this.exchanges.get(id);
    if (exchange === undefined) {
      if (id > 0 && id <= this.lastId) return;
      throw unknownCorrelation(envelope.correlationId);
    }
    if (exchange.answer !== undefined) return;
    switch (envelope.kind) {
      case EnvelopeKind.ENVELOPE_KIND_CHUNK:
        this.passOn(id, exchange, envelope.payload);
        return;
      case EnvelopeKind.ENVELOPE_KIND_PROGRESS: {
        const { fraction = 0, note = '' } = envelope.progress ?? {};
        void exchange.progress?.(fraction, note).catch(() => undefined);
        return;
      }
      default:
    }
    if (envelope.error !== undefined || envelope.kind === EnvelopeKind.ENVELOPE_KIND_ERROR) {
      this.exchanges.delete(id);
      exchange.failed(errorOf(envelope));
    } else {
      exchange.answer = envelope.result?.payload ?? envelope.payload;
      this.settle(id, exchange);
    }
  }

  /** Passes the answer on where it is there, and all parts before it have been taken. */
  private settle(id: number, exchange: Exchange): void {
    const { answer: payload, passing } = exchange;
    if (payload === undefined || passing > 0 || this.exchanges.get(id) !== exchange) return;
    this.exchanges.delete(id);
    exchange.answered(payload);
  }

  private run(task: AgentTask, context: TaskContext): Promise<PayloadInput> {
    const turn = context instanceof TurnContext ? context.turn : undefined;
    const isStreamed = turn?.isStreamed ?? false;
    return new Promise((resolve, reject) => {
      const id = this.begin(
        (correlationId) =>
          taskEnvelope(task, context, { correlationId, demand: isStreamed ? DEMAND : 0, nowMs: this.port.clock.now() }),
        {
          emit: isStreamed ? (part) => context.emit(part) : undefined,
          progress: isStreamed ? (fraction, note) => context.progress(fraction, note) : undefined,
          answered: (payload) => answer(payload, resolve, reject),
          failed: reject,
        },
      );
      if (turn !== undefined) turn.onCancel = (error) => this.cancel(id, error);
    });
  }

  private message(message: AgentMessage, traceparent: string | undefined): Promise<PayloadInput> {
    return new Promise((resolve, reject) => {
      const delivery = message instanceof Delivery ? message : undefined;
      const remainingMs = (delivery?.deadlineMs ?? 0) - this.port.clock.now();
      const waitMs = message.kind === 'request' ? Math.max(0, remainingMs) : Math.max(UNACKNOWLEDGED_MS, remainingMs);
      let disarm: () => void = () => undefined;
      const parts = (delivery?.demand ?? 0) > 0 ? delivery : undefined;
      let sequence = 0;
      const id = this.begin(
        (correlationId) => messageEnvelope(message, correlationId, parts === undefined ? 0 : DEMAND, traceparent),
        {
          emit:
            parts === undefined
              ? undefined
              : (part) => {
                  sequence += 1;
                  return parts.origin.part(parts, sequence, (part as TaggedPayload).payload);
                },
          progress: undefined,
          answered: (payload) => {
            disarm();
            answer(payload, resolve, reject);
          },
          failed: (error) => {
            disarm();
            reject(error);
          },
        },
      );
      disarm = this.port.clock.after(waitMs, () => this.cancel(id, late()));
      if (delivery !== undefined && message.kind === 'request') delivery.onCancel = (error) => this.cancel(id, error);
    });
  }

  private begin(
    encode: (correlationId: number) => Buffer,
    { emit, progress, answered, failed }: Omit<Exchange, 'sending' | 'demandDue' | 'passing' | 'answer'>,
  ): number {
    this.lastId += 1;
    const id = this.lastId;
    if (this.state.kind === 'leaving') {
      failed(leaving(this.port.manifest.id));
      return id;
    }
    const sending = this.port.outbox.pushLater(() => {
      try {
        return encode(id);
      } catch (error) {
        this.exchanges.delete(id);
        failed(error);
        return undefined;
      }
    });
    this.exchanges.set(id, { sending, emit, progress, demandDue: 0, passing: 0, answer: undefined, answered, failed });
    this.port.wake();
    return id;
  }

  /** Nobody waits for the answer any more: the program is told, and its place is free. */
  private cancel(id: number, error: unknown): void {
    const exchange = this.exchanges.get(id);
    if (exchange === undefined) return;
    this.exchanges.delete(id);
    // Who has answered need not know.
    if (!exchange.sending.withdraw() && exchange.answer === undefined)
      this.tell(() => envelopeBytes({ kind: EnvelopeKind.ENVELOPE_KIND_CANCEL, correlationId: BigInt(id) }));
    exchange.failed(error);
  }

  /** Passes on a part of an answer, and asks for more when it has been taken. */
  private passOn(id: number, exchange: Exchange, bytes: Buffer): void {
    if (exchange.emit === undefined) return;
    const part = partOf(bytes);
    if (part instanceof TroupeError) {
      this.cancel(id, part);
      return;
    }
    exchange.passing += 1;
    exchange.emit(part).then(
      () => {
        exchange.passing -= 1;
        if (exchange.answer === undefined) this.demand(id, exchange);
        else this.settle(id, exchange);
      },
      // An answer with a gap would be a wrong one.
      (error: unknown) => this.cancel(id, error),
    );
  }

  /** What is asked for while the one before waits goes with it. */
  private demand(id: number, exchange: Exchange): void {
    exchange.demandDue += 1;
    if (exchange.demandDue > 1) return;
    this.tell(() => {
      const demand = exchange.demandDue;
      exchange.demandDue = 0;
      return this.exchanges.has(id)
        ? envelopeBytes({ kind: EnvelopeKind.ENVELOPE_KIND_DEMAND, correlationId: BigInt(id), demand })
        : undefined;
    });
  }

  /** Small, and one at most for each exchange: outside the bounds of the outbox. */
  private tell(encode: () => Buffer | undefined): void {
    this.port.outbox.pushLater(encode);
    this.port.wake();
  }
}

function leaving(id: string): TroupeError {
  return new NotBegun('UNAVAILABLE', 'AGENT_LEAVING', `agent "${id}" leaves and takes nothing new`, id);
}

function late(): TroupeError {
  return new TroupeError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'the deadline passed');
}
