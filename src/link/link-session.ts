import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { messageOf, TroupeError } from '../core/errors.js';
import {
  type LinkHello,
  type LinkWelcome,
  OpenRequest,
  OpenResponse,
  type OutcomeEnvelope,
  type TaskEnvelope,
} from '../gen/troupe/internal/v1/link.js';
import { encodeMessage } from '../rpc/encode.js';
import { fromServiceError, toStatusObject } from '../rpc/status.js';
import type { EnvelopeReader } from './envelope-reader.js';
import type { FrameQueue } from './frame-queue.js';
import { type FrameHandlers, IncomingFrames } from './incoming-frames.js';
import type { LinkTraffic } from './link-traffic.js';

/** Bytes that may be sent to this end before it gives credit: with what waits at the other end (FrameQueue), at most 16 MiB are on their way to one that does not read. */
export const WINDOW_BYTES = 3 * 1024 * 1024;
/** Credit is given in pieces of at least this. */
const CREDIT_BYTES = 256 * 1024;
const MAX_CREDIT = 64 * 1024 * 1024;
/** The other end is asked for a sign of life when it was silent for so long, and given up after twice that. */
const SILENCE_MS = 5_000;
/** A timer that fires this much too late tells of this process, which was blocked, and not of the other end. */
const LATE_MS = 1_000;

const NOTHING = { envelopes: [], tasks: [], outcomes: [], credit: 0, control: undefined };

/** What comes over a link. */
export interface SessionHandlers {
  /** At the end that did not open it. @throws TroupeError: the link is refused. */
  hello(session: LinkSession, hello: LinkHello): void;
  /** At the end that opened it. */
  welcome(session: LinkSession, welcome: LinkWelcome): void;
  envelope(envelope: EnvelopeReader): void;
  task(task: TaskEnvelope): void;
  outcome(outcome: OutcomeEnvelope): void;
  /** The other end will end. */
  drains(session: LinkSession): void;
  /** It has ended, and why. Once. */
  ended(session: LinkSession, error: TroupeError): void;
}

export interface SessionDeps {
  readonly clock: Clock;
  /** Counts what goes over it. */
  readonly traffic: LinkTraffic;
}

export type LinkStream = ClientDuplexStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

/**
 * One stream between two processes, until it ends. Writes one frame after the other, each when the one before has been written: what comes
 * meanwhile goes together. Sends no more than the other end gave credit for.
 */
export class LinkSession implements FrameHandlers {
  private readonly incoming = new IncomingFrames(this);
  private readonly control: Buffer[] = [];
  private queue: FrameQueue | undefined;
  private window = 0;
  private movedAtMs = 0;
  private received = 0;
  private isWriting = false;
  private isScheduled = false;
  private cameInTurn = 0;
  private isBusy = false;
  private isEnding = false;
  /** This side has ended: nothing more can be written, but what the other end still sends is read. */
  private hasEnded = false;
  private isOver = false;
  /** The other end will end. */
  private isDrained = false;
  /** Pings of the other end that are answered once nothing is left to send. */
  private owedPongs = 0;
  private unanswered = 0;
  private whenAnswered: (() => void)[] = [];
  private heardAtMs: number;
  private disarm: () => void = () => undefined;
  handlers: SessionHandlers;
  private readonly clock: Clock;
  private readonly traffic: LinkTraffic;

  /** `isOpener`: whether this end opened it. */
  constructor(
    private readonly stream: LinkStream,
    private readonly isOpener: boolean,
    { clock, traffic }: SessionDeps,
    handlers: SessionHandlers,
  ) {
    this.clock = clock;
    this.traffic = traffic;
    this.handlers = handlers;
    this.heardAtMs = clock.monotonicMs();
    stream.on('data', (bytes: Buffer) => this.read(bytes));
    stream.on('end', () => this.end(new TroupeError('UNAVAILABLE', 'LINK_ENDED', 'the other end ended the link')));
    stream.on('error', (error: unknown) => this.end(fromServiceError(error)));
    if (!isOpener)
      (stream as ServerDuplexStream<Buffer, Buffer>).on('cancelled', () =>
        this.end(new TroupeError('UNAVAILABLE', 'LINK_LOST', 'the connection of the link was lost')),
      );
    this.watch();
  }

  sayHello(hello: LinkHello): void {
    this.writeControl(encodeMessage(OpenRequest, { ...NOTHING, control: { $case: 'hello', value: hello } }));
  }

  sayWelcome(welcome: LinkWelcome): void {
    this.writeControl(encodeMessage(OpenResponse, { ...NOTHING, control: { $case: 'welcome', value: welcome } }));
  }

  /** Sends what is in `queue` from now on; `window`: bytes that may be sent before there is credit. */
  begin(queue: FrameQueue, window: number): void {
    this.queue = queue;
    this.window = Math.min(window, MAX_CREDIT);
    this.flushSoon();
  }

  /** How long the other end has let nothing of what waits go. */
  get stalledMs(): number {
    return this.clock.monotonicMs() - this.movedAtMs;
  }

  /** Something is in the queue: it leaves at the end of this turn of the event loop. */
  flushSoon(): void {
    if (this.isScheduled || this.isWriting || this.isOver) return;
    this.isScheduled = true;
    if (this.window > 0) this.movedAtMs = this.clock.monotonicMs();
    process.nextTick(this.flush);
  }

  /**
   * As `flushSoon`, for what comes one by one, each in a callback of its own: where several came in one turn of the event loop, those of the next
   * leave together at its end.
   */
  flushTogether(): void {
    this.cameInTurn += 1;
    if (this.cameInTurn > 1) return;
    setImmediate(this.closeTurn);
    if (!this.isBusy) this.flushSoon();
  }

  /** Tells the other end that this one will end. Resolves when all that it had sent, or still had to send, is here, or the link has ended. */
  sayDrain(): Promise<void> {
    if (this.isOver) return Promise.resolve();
    this.writeControl(this.isOpener ? DRAIN_REQUEST : DRAIN_RESPONSE);
    this.sayPing();
    return new Promise((resolve) => this.whenAnswered.push(resolve));
  }

  /** Ends this side when all that is queued was sent. */
  finish(): void {
    this.isEnding = true;
    this.flushSoon();
  }

  /** Ends it at once. */
  abort(error: TroupeError): void {
    if (this.isOver) return;
    if (this.isOpener) (this.stream as ClientDuplexStream<Buffer, Buffer>).cancel();
    else this.stream.emit('error', toStatusObject(error));
    this.end(error);
  }

  // What comes.

  hello(hello: LinkHello): void {
    this.handlers.hello(this, hello);
  }

  welcome(welcome: LinkWelcome): void {
    this.handlers.welcome(this, welcome);
  }

  ping(): void {
    if (this.isDrained) {
      this.owedPongs += 1;
      this.flushSoon();
    } else this.writeControl(this.pongBytes);
  }

  pong(): void {
    this.unanswered -= 1;
    if (this.unanswered === 0) this.answered();
  }

  drain(): void {
    this.isDrained = true;
    this.handlers.drains(this);
  }

  credit(bytes: number): void {
    this.window = Math.min(this.window + bytes, MAX_CREDIT);
    this.flushSoon();
  }

  envelope(envelope: EnvelopeReader): void {
    this.traffic.receivedEnvelopes += 1;
    this.handlers.envelope(envelope);
  }

  task(task: TaskEnvelope): void {
    this.traffic.receivedEnvelopes += 1;
    this.handlers.task(task);
  }

  outcome(outcome: OutcomeEnvelope): void {
    this.traffic.receivedEnvelopes += 1;
    this.handlers.outcome(outcome);
  }

  private read(bytes: Buffer): void {
    if (this.isOver) return;
    this.heardAtMs = this.clock.monotonicMs();
    try {
      this.incoming.read(bytes);
    } catch (error) {
      this.abort(
        error instanceof TroupeError ? error : new TroupeError('INTERNAL', 'INTERNAL', messageOf(error), { cause: error }),
      );
      return;
    }
    this.received += bytes.length;
    this.traffic.receivedBytes += bytes.length;
    if (this.received < CREDIT_BYTES) return;
    const credit = { ...NOTHING, credit: this.received };
    this.received = 0;
    this.writeControl(this.isOpener ? encodeMessage(OpenRequest, credit) : encodeMessage(OpenResponse, credit));
  }

  private writeControl(bytes: Buffer): void {
    this.control.push(bytes);
    this.flushSoon();
  }

  private readonly flush = (): void => {
    this.isScheduled = false;
    if (this.isOver || this.hasEnded || this.isWriting) return;
    const bytes = this.next();
    if (bytes !== undefined) {
      this.isWriting = true;
      this.traffic.sentBytes += bytes.length;
      this.stream.write(bytes, this.onWritten);
    } else if (this.isEnding && this.queue?.isEmpty !== false) {
      this.hasEnded = true;
      this.stream.end();
    }
  };

  private readonly closeTurn = (): void => {
    this.isBusy = this.cameInTurn > 1;
    this.cameInTurn = 0;
    this.flushSoon();
  };

  private readonly onWritten = (): void => {
    this.isWriting = false;
    this.movedAtMs = this.clock.monotonicMs();
    // The queue may be another session's already.
    if (!this.isOver) this.queue?.written();
    if (this.cameInTurn < 2 || this.control.length > 0) this.flush();
  };

  private next(): Buffer | undefined {
    const control = this.control.shift();
    if (control !== undefined) {
      // Not held back by the window, but counted: the other end gives credit for it.
      this.window -= control.length;
      return control;
    }
    const frame = this.window > 0 ? this.queue?.next() : undefined;
    if (frame !== undefined) {
      this.window -= frame.bytes.length;
      this.traffic.sentEnvelopes += frame.envelopes;
      return frame.bytes;
    }
    if (this.owedPongs === 0 || this.queue?.isEmpty === false) return undefined;
    this.owedPongs -= 1;
    this.window -= this.pongBytes.length;
    return this.pongBytes;
  }

  private get pongBytes(): Buffer {
    return this.isOpener ? PONG_REQUEST : PONG_RESPONSE;
  }

  private sayPing(): void {
    this.unanswered += 1;
    this.writeControl(this.isOpener ? PING_REQUEST : PING_RESPONSE);
  }

  private answered(): void {
    const waiting = this.whenAnswered;
    this.whenAnswered = [];
    for (const resolve of waiting) resolve();
  }

  /** One timer asks for signs of life. */
  private watch(): void {
    const dueMs = this.clock.monotonicMs() + SILENCE_MS;
    this.disarm = this.clock.after(SILENCE_MS, () => {
      const isOnTime = this.clock.monotonicMs() - dueMs < LATE_MS;
      // Timers run before sockets are read: what has come already is heard first.
      setImmediate(() => this.judge(isOnTime));
    });
  }

  /** Gives up an end that has been asked, and has had the time to answer; asks one that is silent. */
  private judge(isOnTime: boolean): void {
    if (this.isOver) return;
    const silentMs = this.clock.monotonicMs() - this.heardAtMs;
    if (silentMs >= 2 * SILENCE_MS && isOnTime && this.unanswered > 0) {
      this.abort(new TroupeError('UNAVAILABLE', 'LINK_SILENT', `the other end was silent for ${Math.round(silentMs)} ms`));
      return;
    }
    if (silentMs >= SILENCE_MS - 1) this.sayPing();
    this.watch();
  }

  private end(error: TroupeError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.disarm();
    this.answered();
    // What still comes out of the stream is nobody's concern.
    this.stream.on('error', () => undefined);
    if (!this.isOpener) this.stream.end();
    this.handlers.ended(this, error);
  }
}

const PING_REQUEST = encodeMessage(OpenRequest, { ...NOTHING, control: { $case: 'ping', value: {} } });
const PING_RESPONSE = encodeMessage(OpenResponse, { ...NOTHING, control: { $case: 'ping', value: {} } });
const PONG_REQUEST = encodeMessage(OpenRequest, { ...NOTHING, control: { $case: 'pong', value: {} } });
const PONG_RESPONSE = encodeMessage(OpenResponse, { ...NOTHING, control: { $case: 'pong', value: {} } });
const DRAIN_REQUEST = encodeMessage(OpenRequest, { ...NOTHING, control: { $case: 'drain', value: {} } });
const DRAIN_RESPONSE = encodeMessage(OpenResponse, { ...NOTHING, control: { $case: 'drain', value: {} } });
