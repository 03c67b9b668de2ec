import { type Clock, MAX_TIMER_MS } from '../core/clock.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import type { PartSource } from '../core/parts.js';
import type { RoutedBatch, RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { Hello, type Welcome } from '../gen/troupe/v1/messaging.js';
import { Inbox, WINDOW } from '../link/inbox.js';
import { Outbox, type Sending } from '../link/outbox.js';
import { envelopeBytes, type NodeFrame, type ProgramFrame, programFrameBytes, readNodeFrame } from '../link/session-frames.js';
import type { Duplex, RawClient } from '../rpc/raw-client.js';
import type { Change } from './program-subscriptions.js';

/** What an attached program does about what comes. */
export interface SessionListener {
  /** It is attached, for the first time or again. */
  attached(welcome: Welcome): void;
  /** A task, a message, or something about one. */
  given(envelope: RoutedEnvelope): void;
  /** What the agent is subscribed to: in answer to change `id`, or by itself. */
  subscribed(topics: readonly string[], id: bigint): void;
  /** The node will end. */
  drains(): void;
  /** The present stream is over. */
  broken(error: TroupeError | undefined): void;
}

/** What is done about what answers something that was asked for. */
export interface AnswerWaiter {
  /** ACK, RESPONSE or ERROR. */
  answered(envelope: RoutedEnvelope): void;
  failed(error: TroupeError): void;
  /** A part of the answer; not given: none is wanted. */
  readonly part?: (envelope: RoutedEnvelope) => void;
}

const CONNECT = '/troupe.v1.Messaging/Connect';

/** A program's side of its session, over all of its streams. */
export class ProgramSession {
  private readonly inbox = new Inbox();
  /** Nothing goes before welcome. */
  private readonly outbox = new Outbox(true, 0);
  private readonly waiting = new Map<number, AnswerWaiter>();
  private control: Buffer[] = [];
  private lastId = 0;
  private stream: Duplex | undefined;
  private isWelcome = false;
  private isWriting = false;
  private isScheduled = false;
  private isEnding = false;
  private onPong: (() => void)[] = [];
  private token = '';

  constructor(
    private readonly raw: RawClient,
    /** What it says first, as long as it has no token. */
    private readonly hello: () => Hello,
    private readonly listener: SessionListener,
    readonly clock: Clock,
  ) {}

  /** Whether it can go on over another stream. */
  get canResume(): boolean {
    return this.token !== '';
  }

  /** Opens a stream: says hello, or goes on with what was. */
  connect(): void {
    this.isWelcome = false;
    this.isWriting = false;
    this.control = [];
    const hello = this.canResume
      ? Hello.fromPartial({ resumeToken: this.token, received: BigInt(this.inbox.received), credit: WINDOW })
      : { ...this.hello(), credit: WINDOW };
    const stream: Duplex = this.raw.duplex(CONNECT, {
      message: (bytes) => this.read(bytes),
      over: (error) => {
        if (this.stream !== stream) return;
        this.stream = undefined;
        this.isWelcome = false;
        this.ponged();
        this.listener.broken(error);
      },
    });
    this.stream = stream;
    stream.write(programFrameBytes({ $case: 'hello', value: hello }));
  }

  /** Sends something. @throws RESOURCE_EXHAUSTED / SESSION_FULL: too much waits. */
  send(envelope: Partial<RoutedEnvelope>): Sending {
    const sending = this.outbox.push(envelopeBytes(envelope));
    if (sending === undefined)
      throw new TroupeError('RESOURCE_EXHAUSTED', 'SESSION_FULL', 'too much waits to be sent; wait for some answers');
    this.wake();
    return sending;
  }

  /** Sends something, and gives what answers it. @throws as `begin`. */
  ask(envelope: Partial<RoutedEnvelope>, signal?: AbortSignal): Promise<RoutedEnvelope> {
    return new Promise((answered, failed) => {
      if (signal?.aborted) throw waitEnded();
      const asked = this.begin(envelope, {
        answered: (answer) => {
          signal?.removeEventListener('abort', onAbort);
          answered(answer);
        },
        failed: (error) => {
          signal?.removeEventListener('abort', onAbort);
          failed(error);
        },
      });
      const onAbort = () => asked.cancel(waitEnded());
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /**
   * Sends something, and waits for what answers it until its deadline, also while there is no stream. `waiter` hears of its end once, and not before this
   * returns. @throws RESOURCE_EXHAUSTED / SESSION_FULL.
   */
  begin(envelope: Partial<RoutedEnvelope>, waiter: AnswerWaiter): PartSource {
    this.lastId += 1;
    const id = this.lastId;
    const sending = this.send({ ...envelope, correlationId: BigInt(id) });
    const cancel = (error: TroupeError) => {
      const waits = this.waiting.get(id);
      if (waits === undefined) return;
      this.settled(id);
      this.callOff(id, sending);
      waits.failed(error);
    };
    const leftMs = (envelope.deadline?.getTime() ?? Number.POSITIVE_INFINITY) - this.clock.now();
    const disarm = leftMs <= MAX_TIMER_MS ? this.clock.after(leftMs, () => cancel(deadlineExceeded())) : () => undefined;
    this.waiting.set(id, {
      ...waiter,
      answered: (answer) => {
        disarm();
        waiter.answered(answer);
      },
      failed: (error) => {
        disarm();
        waiter.failed(error);
      },
    });
    return { cancel, demand: (parts) => this.demand(id, parts) };
  }

  /** Tells the node what the agent wants to hear of what is broadcast, and what not any more; lost where the stream breaks. */
  changeSubscriptions({ subscribe, unsubscribe, id }: Change): void {
    this.say({ $case: 'subscriptions', value: { subscribe: [...subscribe], unsubscribe: [...unsubscribe], id } });
  }

  /** Tells the node that nothing new is to come. Resolves when nothing more comes: all that the node had sent before it knew is here. */
  drain(): Promise<void> {
    if (!this.isWelcome) return Promise.resolve();
    this.say({ $case: 'drain', value: {} });
    this.say({ $case: 'ping', value: { id: 1n } });
    return new Promise((resolve) => this.onPong.push(resolve));
  }

  /** Ends this side when all has been sent; where there is no stream it is over. */
  end(): void {
    this.isEnding = true;
    if (this.isWelcome) this.wake();
    else this.over(new TroupeError('CANCELLED', 'CANCELLED', 'the agent was closed'));
  }

  /** Ends the stream at once. */
  cancel(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.cancel();
  }

  /** It is over: what waits for an answer gets none. */
  over(error: TroupeError): void {
    this.cancel();
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { failed } of waiting) failed(error);
  }

  /** Nobody waits any more for what answers it. */
  private callOff(id: number, sending: Sending): void {
    if (sending.withdraw()) return;
    try {
      this.send({ kind: EnvelopeKind.ENVELOPE_KIND_CANCEL, correlationId: BigInt(id) });
    } catch {
      // Too much waits to be sent: the node gives it up at its deadline.
    }
  }

  private get isReading(): boolean {
    return [...this.waiting.values()].some(({ part }) => part !== undefined);
  }

  private demand(id: number, demand: number): void {
    if (!this.waiting.has(id)) return;
    // Small, and one at most for each half of a window: outside the bounds of the outbox.
    this.outbox.pushLater(() => envelopeBytes({ kind: EnvelopeKind.ENVELOPE_KIND_DEMAND, correlationId: BigInt(id), demand }));
    this.wake();
  }

  /** It waits no more. */
  private settled(id: number): AnswerWaiter | undefined {
    const waiter = this.waiting.get(id);
    this.waiting.delete(id);
    if (this.isEnding) this.wake();
    return waiter;
  }

  private ponged(): void {
    for (const resolve of this.onPong.splice(0)) resolve();
  }

  private say(frame: ProgramFrame): void {
    if (!this.isWelcome) return;
    this.control.push(programFrameBytes(frame));
    this.wake();
  }

  private wake(): void {
    if (this.isScheduled || this.isWriting || !this.isWelcome) return;
    this.isScheduled = true;
    setImmediate(this.flush);
  }

  private readonly flush = (): void => {
    this.isScheduled = false;
    const { stream } = this;
    if (stream === undefined || this.isWriting || !this.isWelcome) return;
    const bytes = this.control.shift() ?? this.creditFrame() ?? this.outbox.next();
    if (bytes === undefined) {
      // Who reads an answer in parts still has to ask for them.
      if (this.isEnding && !this.isReading) stream.end();
      return;
    }
    this.isWriting = true;
    stream.write(bytes, () => {
      if (this.stream !== stream) return;
      this.isWriting = false;
      this.flush();
    });
  };

  private creditFrame(): Buffer | undefined {
    const credit = this.inbox.takeCredit();
    if (credit === undefined) return undefined;
    const value = { envelopes: credit.envelopes, received: BigInt(credit.received) };
    return programFrameBytes({ $case: 'credit', value });
  }

  private read(bytes: Buffer): void {
    try {
      const frame = readNodeFrame(bytes);
      if (frame !== undefined) this.frame(frame, bytes.length);
    } catch (error) {
      if (!(error instanceof TroupeError)) throw error;
      this.cancel();
      this.listener.broken(error);
    }
  }

  private frame(frame: NodeFrame, bytes: number): void {
    switch (frame.$case) {
      case 'welcome':
        this.welcome(frame.value);
        break;
      case 'batch':
        this.batch(frame.value, bytes);
        break;
      case 'credit':
        this.outbox.addCredit(frame.value.envelopes);
        this.outbox.acknowledge(Number(frame.value.received));
        this.wake();
        break;
      case 'ping':
        this.say({ $case: 'pong', value: { id: frame.value.id } });
        break;
      case 'drain':
        this.listener.drains();
        break;
      case 'pong':
        this.ponged();
        break;
      case 'subscriptions':
        this.listener.subscribed(frame.value.topics, frame.value.id);
        break;
    }
  }

  private welcome(welcome: Welcome): void {
    this.inbox.restart();
    if (!this.outbox.restart(Number(welcome.received), welcome.credit))
      throw new TroupeError('INTERNAL', 'WRONG_WELCOME', 'the node says that it has received what was not sent');
    this.token = welcome.resumeToken;
    this.isWelcome = true;
    this.listener.attached(welcome);
    this.wake();
  }

  private batch({ envelopes, sequence }: RoutedBatch, bytes: number): void {
    if (this.inbox.accept(Number(sequence), envelopes.length, bytes)) for (const envelope of envelopes) this.receive(envelope);
    this.wake();
  }

  private receive(envelope: RoutedEnvelope): void {
    switch (envelope.kind) {
      case EnvelopeKind.ENVELOPE_KIND_ACK:
      case EnvelopeKind.ENVELOPE_KIND_RESPONSE:
      case EnvelopeKind.ENVELOPE_KIND_ERROR:
        this.settled(Number(envelope.correlationId))?.answered(envelope);
        break;
      case EnvelopeKind.ENVELOPE_KIND_CHUNK:
        this.waiting.get(Number(envelope.correlationId))?.part?.(envelope);
        break;
      default:
        this.listener.given(envelope);
    }
  }
}

function waitEnded(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the wait was ended');
}
