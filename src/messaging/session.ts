import { assertNever } from '../core/assert-never.js';
import type { Clock } from '../core/clock.js';
import { invalidArgument, TroupeError } from '../core/errors.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import type { SubscriptionChange } from '../gen/troupe/v1/messaging.js';
import { WINDOW } from '../link/inbox.js';
import { MAX_KEPT_BYTES, Outbox } from '../link/outbox.js';
import { envelopeBytes, type ProgramFrame, readFrame } from '../link/session-frames.js';
import type { ByteStream, ByteStreamListener } from '../rpc/byte-stream.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { Delivery, Recipient } from '../runtime/delivery.js';
import { messageEnvelope } from './agent-envelopes.js';
import type { AgentPort } from './agent-port.js';
import type { ProgramPort, ProgramRequestDeps } from './program-port.js';
import { ProgramRequests } from './program-requests.js';
import { SessionAgent } from './session-agent.js';
import * as refusals from './session-errors.js';
import type { SessionOrder } from './session-hello.js';
import { SessionLine } from './session-line.js';
import { SessionSubscriptions } from './session-subscriptions.js';
import { SessionTraffic } from './session-traffic.js';

export interface SessionDeps extends ProgramRequestDeps {
  readonly nodeId: string;
  readonly clock: Clock;
  /** Undefined where there are no agents. */
  readonly agents: AgentPort | undefined;
  /** Whether this process drains. */
  readonly isDraining: () => boolean;
}

export interface SessionIdentity {
  /** Its agent id, or the name that it was given as a client. */
  readonly id: string;
  /** '' where it cannot come back. */
  readonly token: string;
}

type SessionState =
  /** Its stream is there. */
  | { readonly kind: 'attached'; readonly line: SessionLine }
  /** Its stream broke: it is waited for. */
  | { readonly kind: 'detached'; readonly disarm: () => void }
  | { readonly kind: 'ended' };

/** Broadcasts that may wait for a client. */
const MAX_WAITING = 1_000;
/** Probes at which that is so before the session ends: about 30 s. */
const MAX_STALLS = 6;
/** Of the ping behind `drain`: its pong says that what comes from now on was sent by one who knows. No probe has it. */
const DRAIN_PING = 2n ** 53n;
/** How long a program that leaves may take to answer what it has. */
const LEAVE_MS = 300_000;

/**
 * One attached program, over all of its streams. What goes wrong in what it sends ends it, and nobody else. `onEnded` is called once.
 */
export class Session implements ProgramPort, Recipient {
  readonly id: string;
  readonly token: string;
  private state: SessionState;
  private isOpen = false;
  /** Probes in a row at which it waited for nothing but the program's word of what it has received. */
  private stalls = 0;
  /** The program knows that this process will end. */
  private knowsOfDrain = false;
  /** The program has ended its side. */
  private isFinishing = false;
  private readonly outbox: Outbox;
  private readonly traffic: SessionTraffic;
  private readonly place: SessionAgent | undefined;
  private readonly requests: ProgramRequests;
  private readonly subscriptions: SessionSubscriptions;

  constructor(
    { id, token }: SessionIdentity,
    private readonly order: SessionOrder,
    private readonly deps: SessionDeps,
    stream: ByteStream,
    private readonly onEnded: (session: Session) => void,
  ) {
    this.id = id;
    this.token = token;
    this.outbox = new Outbox(order.graceMs > 0, order.credit);
    this.state = { kind: 'attached', line: this.lineOf(stream) };
    this.requests = new ProgramRequests(this, deps);
    const { agent: manifest } = order;
    if (manifest !== undefined) {
      const handlers = { wake: () => this.wake(), stopped: () => this.agentStopped() };
      this.place = new SessionAgent({ manifest, outbox: this.outbox, clock: deps.clock, ...handlers }, deps.agents);
    }
    const agent = this.place?.agent;
    this.traffic = new SessionTraffic({
      id,
      outbox: this.outbox,
      requests: this.requests,
      agent,
      isOver: () => this.state.kind === 'ended',
    });
    this.subscriptions = new SessionSubscriptions((pattern) =>
      agent === undefined ? deps.messages.subscribe(pattern, this) : agent.subscribe(pattern),
    );
  }

  get isAgent(): boolean {
    return this.order.agent !== undefined;
  }

  /** The address of its present stream; '' where it has none. */
  get peer(): string {
    return this.state.kind === 'attached' ? this.state.line.stream.peer : '';
  }

  /** What it has to answer may need more from others; all else it can ask elsewhere once it knows. */
  get refusal(): TroupeError | undefined {
    const isAtWork = this.place !== undefined && this.place.agent.size > 0;
    return this.knowsOfDrain && !isAtWork ? refusals.goElsewhere() : undefined;
  }

  /** Registers it, and welcomes it. @throws what keeps it out; it has ended then. */
  async open(): Promise<void> {
    try {
      await this.place?.register();
      if (this.order.topics.length > 0) await this.subscriptions.change(this.order.topics, []);
    } catch (error) {
      // It may have ended before it was registered.
      if (this.state.kind === 'ended') this.leave(0);
      else this.end(error instanceof TroupeError ? error : undefined);
      throw error;
    }
    if (this.state.kind === 'ended') this.leave(0);
    else if (this.state.kind === 'attached') {
      this.isOpen = true;
      this.welcome(this.state.line);
    } else this.end();
  }

  /** What comes over `stream` is for this session, as long as it is the session's stream. */
  listener(stream: ByteStream): ByteStreamListener {
    const ifMine = (act: (line: SessionLine) => void) => {
      if (this.state.kind === 'attached' && this.state.line.stream === stream) act(this.state.line);
    };
    return {
      message: (bytes) => ifMine((line) => this.receive(line, bytes)),
      ended: () => ifMine(() => this.finish()),
      lost: () => ifMine((line) => this.lost(line)),
    };
  }

  /** Whether its program is there, and has not got yet what it waits for. */
  get isBusy(): boolean {
    return this.state.kind === 'attached' && (this.requests.size > 0 || !this.outbox.isEmpty);
  }

  /** Goes on over another stream. @throws INVALID_ARGUMENT: the program cannot have received what it says. */
  resume(stream: ByteStream, received: number, credit: number): void {
    if (this.state.kind === 'ended') throw refusals.unknownSession();
    if (!this.traffic.restart(received, credit))
      throw invalidArgument(
        'hello.received',
        'is not what this session can have received: batches that were sent, and not fewer than it acknowledged',
      );
    if (this.state.kind === 'attached') this.state.line.end(refusals.takenOver());
    else this.state.disarm();
    const line = this.lineOf(stream);
    this.state = { kind: 'attached', line };
    this.place?.agent.back();
    this.welcome(line);
    if (this.subscriptions.hasChanged) this.tellSubscriptions(0n);
  }

  /** Tells the program that this process will end. */
  drain(): void {
    if (this.state.kind !== 'attached' || !this.isOpen) return;
    const { line } = this.state;
    line.say({ $case: 'drain', value: {} });
    line.say({ $case: 'ping', value: { id: DRAIN_PING } });
  }

  /** Asks a silent program for a sign of life, and gives up the stream of one that gives none. */
  probe(askMs: number, endMs: number): void {
    // Who has ended its side can say nothing more, and still gets what it waits for.
    if (this.state.kind !== 'attached' || this.isFinishing) return;
    const { line } = this.state;
    if (line.probe(askMs) >= endMs) {
      line.end(refusals.silent());
      this.lost(line);
      return;
    }
    this.stalls = this.outbox.isUnacknowledged ? this.stalls + 1 : 0;
    if (this.stalls >= MAX_STALLS) this.end(refusals.unacknowledged());
  }

  /** Ends it: in order, or with an error that the program sees. */
  end(error?: TroupeError): void {
    const { state } = this;
    if (state.kind === 'ended') return;
    this.state = { kind: 'ended' };
    if (state.kind === 'attached') state.line.end(error);
    else state.disarm();
    this.requests.close(new TroupeError('CANCELLED', 'CANCELLED', 'the program has gone'));
    this.subscriptions.close();
    this.leave(0);
    this.onEnded(this);
  }

  send(envelope: Partial<RoutedEnvelope>): void {
    if (this.state.kind === 'ended') return;
    if (this.outbox.push(envelopeBytes(envelope)) === undefined) this.end(refusals.slowConsumer());
    else this.wake();
  }

  settled(): void {
    if (this.isFinishing) this.wake();
  }

  /** A broadcast for a client. */
  offer(delivery: Delivery): undefined | TroupeError {
    if (this.state.kind === 'ended') return refusals.gone(this.id);
    let bytes: Buffer;
    try {
      bytes = messageEnvelope(delivery, 0, 0);
    } catch (error) {
      if (!(error instanceof TroupeError)) throw error;
      return error;
    }
    const isFull = this.outbox.waitingEnvelopes >= MAX_WAITING || this.outbox.heldBytes + bytes.length > MAX_KEPT_BYTES;
    if (isFull || this.outbox.push(bytes) === undefined) return refusals.full(this.id);
    this.wake();
    return undefined;
  }

  private lineOf(stream: ByteStream): SessionLine {
    const source = {
      next: () => (this.isOpen ? this.traffic.next() : undefined),
      idle: () => this.idle(),
      overflow: () => this.end(refusals.slowConsumer()),
    };
    return new SessionLine(stream, source, this.deps.clock);
  }

  private wake(): void {
    if (this.state.kind === 'attached') this.state.line.wake();
  }

  private welcome(line: SessionLine): void {
    line.say({
      $case: 'welcome',
      value: {
        id: this.id,
        nodeId: this.deps.nodeId,
        resumeToken: this.token,
        received: BigInt(this.traffic.received),
        credit: WINDOW,
        grace: durationFromMs(this.order.graceMs),
      },
    });
    if (this.deps.isDraining()) this.drain();
  }

  private receive(line: SessionLine, bytes: Buffer): void {
    line.heard();
    try {
      this.frame(line, readFrame(bytes), bytes.length);
    } catch (error) {
      if (!(error instanceof TroupeError)) throw error;
      this.end(error);
    }
  }

  /** @throws TroupeError: what the program must not send. */
  private frame(line: SessionLine, frame: ProgramFrame, bytes: number): void {
    switch (frame.$case) {
      case 'hello':
        throw refusals.secondHello();
      case 'batch':
        this.traffic.batch(frame.value, bytes);
        this.wake();
        break;
      case 'credit':
        this.traffic.credit(frame.value);
        this.wake();
        break;
      case 'ping':
        line.say({ $case: 'pong', value: { id: frame.value.id } });
        break;
      case 'pong':
        if (frame.value.id === DRAIN_PING) this.knowsOfDrain = true;
        break;
      case 'drain':
        this.leave(LEAVE_MS);
        break;
      case 'subscriptions':
        this.subscriptions.hasChanged = true;
        this.change(frame.value);
        break;
      default:
        assertNever(frame);
    }
  }

  /** @throws INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
  private change({ subscribe, unsubscribe, id }: SubscriptionChange): void {
    this.subscriptions.change(subscribe, unsubscribe).then(
      () => this.tellSubscriptions(id),
      (error: TroupeError) => {
        // The registry may be away: the program sees what it is subscribed to.
        if (error.code === 'INVALID_ARGUMENT') this.end(error);
        else this.tellSubscriptions(id);
      },
    );
  }

  /** In answer to change `id`; 0: by itself. */
  private tellSubscriptions(id: bigint): void {
    if (this.state.kind !== 'attached') return;
    this.state.line.say({ $case: 'subscriptions', value: { topics: this.subscriptions.topics, id } });
  }

  /** The program has ended its side: it gets what it waits for, and nothing new. */
  private finish(): void {
    this.isFinishing = true;
    this.subscriptions.close();
    this.leave(0);
    this.wake();
  }

  /** Nothing waits to be written. */
  private idle(): void {
    if (this.isFinishing && this.requests.size === 0 && this.outbox.isEmpty) this.end();
  }

  private lost(line: SessionLine): void {
    line.lost();
    const { graceMs } = this.order;
    if (!this.isOpen || this.isFinishing || graceMs === 0) this.end();
    else {
      this.place?.agent.away();
      this.state = { kind: 'detached', disarm: this.deps.clock.after(graceMs, () => this.end()) };
    }
  }

  /** Takes the agent out of the cluster; what it has may be answered for `graceMs`. */
  private leave(graceMs: number): void {
    this.place?.leave(graceMs);
  }

  /** Somebody has stopped the agent: by hand, or because its id was taken by another while the node had no lease. */
  private agentStopped(): void {
    const why = this.place?.whyStopped;
    if (why !== undefined && !this.deps.isDraining()) this.end(why);
  }
}
