import { type Channel, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { systemClock } from '../core/clock.js';
import { abortError, TroupeError } from '../core/errors.js';
import { type TraceHeaders, traceEntries } from '../telemetry/trace-headers.js';
import { IncomingMessages } from './incoming-messages.js';
import type { CallLease, ChannelSource } from './renewed-channel.js';
import { fromServiceError } from './status.js';

export interface RawCallOptions {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly trace?: TraceHeaders | undefined;
  /**
   * The peer is told of the deadline, and its answer to that waited for so much longer; 0 when not given. A caller that ends its calls itself
   * sends RST_STREAM for each, of which Node.js' HTTP/2 server takes 1,000 and 33 a second after that, and then ends the connection.
   */
  readonly graceMs?: number;
}

/** What a unary call under way offers: its end, and calling it off. */
export interface RawCall {
  readonly response: Promise<Buffer>;
  cancel(): void;
}

/** What comes over a stream that this end has opened. */
export interface DuplexListener {
  message(bytes: Buffer): void;
  /** The stream is over; `error`: how it ended, undefined in order. Once. */
  over(error: TroupeError | undefined): void;
}

/** This end of a stream both ways. */
export interface Duplex {
  /** `written`: it is on its way, and the next may follow. */
  write(bytes: Buffer, written?: () => void): void;
  /** Ends this side in order. */
  end(): void;
  cancel(): void;
  /** Nothing is read until `resume`. */
  pause(): void;
  resume(): void;
}

type GrpcCall = ReturnType<Channel['createCall']>;

/** A call that is under way. */
interface Started {
  readonly call: GrpcCall;
  readonly metadata: Metadata;
  /** When its status is there. */
  ended(end: StatusObject): void;
}

/**
 * Calls on bytes, straight over grpc-js's channels: the hot path of tasks, where a typed client's middlewares and generators would cost a fifth,
 * and grpc-js's own client captures a stack for every call. Errors are TroupeErrors.
 */
export class RawClient {
  constructor(private readonly channels: ChannelSource) {}

  unary(path: string, request: Buffer, options: RawCallOptions): RawCall {
    const { call, metadata, ended } = begin(path, this.channels.lease(), options);
    const response = new Promise<Buffer>((resolve, reject) => {
      let bytes: Buffer | undefined;
      call.start(metadata, {
        onReceiveMetadata: () => undefined,
        onReceiveMessage: (message: Buffer) => {
          bytes = message;
        },
        onReceiveStatus: (end) => {
          ended(end);
          if (end.code !== status.OK) reject(fromServiceError(end));
          else if (bytes !== undefined) resolve(bytes);
          else reject(new TroupeError('UNIMPLEMENTED', 'UNIMPLEMENTED', 'the peer sent no message'));
        },
      });
    });
    call.startRead();
    send(call, request);
    return { response, cancel: () => cancel(call) };
  }

  duplex(path: string, listener: DuplexListener): Duplex {
    const { call, metadata, ended } = begin(path, this.channels.lease(), { deadlineMs: Number.POSITIVE_INFINITY });
    const reading = new PausableReads(() => call.startRead());
    call.start(metadata, {
      onReceiveMetadata: () => undefined,
      onReceiveMessage: (message: Buffer) => {
        listener.message(message);
        reading.next();
      },
      onReceiveStatus: (end) => {
        ended(end);
        listener.over(end.code === status.OK ? undefined : fromServiceError(end));
      },
    });
    reading.next();
    return {
      write: (bytes, written = () => undefined) => call.sendMessageWithContext({ callback: written }, bytes),
      end: () => call.halfClose(),
      cancel: () => cancel(call),
      pause: () => reading.pause(),
      resume: () => reading.resume(),
    };
  }

  /** Ends the call when the iteration is left early or `signal` aborts. @throws TroupeError */
  async *serverStream(
    path: string,
    request: Buffer,
    options: RawCallOptions & { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<Buffer, void, undefined> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const { call, metadata, ended } = begin(path, this.channels.lease(), options);
    const incoming = new IncomingMessages(() => call.startRead(), ended);
    call.start(metadata, {
      onReceiveMetadata: () => undefined,
      onReceiveMessage: (message: Buffer) => incoming.onMessage(message),
      onReceiveStatus: (end) => incoming.onStatus(end),
    });
    incoming.read();
    send(call, request);
    const onAbort = () => cancel(call);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      yield* incoming;
    } catch (error) {
      throw signal?.aborted ? abortError(signal) : error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (!incoming.hasEnded) cancel(call);
    }
  }
}

/** Asks for one message after the other, unless it is paused. */
class PausableReads {
  private isPaused = false;
  private isDue = false;

  constructor(private readonly read: () => void) {}

  next(): void {
    if (this.isPaused) this.isDue = true;
    else this.read();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    if (!this.isDue) return;
    this.isDue = false;
    this.read();
  }
}

function begin(path: string, { channel, end }: CallLease, options: RawCallOptions): Started {
  const { deadlineMs, graceMs = 0 } = options;
  const isOurs = graceMs > 0 && Number.isFinite(deadlineMs);
  const call = channel.createCall(path, isOurs ? Number.POSITIVE_INFINITY : deadlineMs, undefined, null, undefined);
  let disarm: () => void = () => undefined;
  if (isOurs) {
    const late = () => call.cancelWithStatus(status.DEADLINE_EXCEEDED, 'the deadline passed without an answer');
    disarm = systemClock.after(deadlineMs - systemClock.now() + graceMs, late);
  }
  const metadata = metadataOf(options);
  return {
    call,
    metadata: isOurs ? withTimeout(metadata, deadlineMs) : metadata,
    ended: ({ code }) => {
      disarm();
      end(code === status.CANCELLED || code === status.DEADLINE_EXCEEDED);
    },
  };
}

function send(call: GrpcCall, request: Buffer): void {
  call.sendMessageWithContext({}, request);
  call.halfClose();
}

function cancel(call: GrpcCall): void {
  call.cancelWithStatus(status.CANCELLED, 'cancelled by the caller');
}

const NO_METADATA = new Metadata();

function metadataOf({ trace }: RawCallOptions): Metadata {
  if (trace === undefined) return NO_METADATA;
  const metadata = new Metadata();
  for (const [name, value] of traceEntries(trace)) metadata.set(name, value);
  return metadata;
}

/** What grpc-js sends for a deadline of its own (PROTOCOL-HTTP2.md, Timeout). */
function withTimeout(given: Metadata, deadlineMs: number): Metadata {
  const metadata = given === NO_METADATA ? new Metadata() : given;
  metadata.set('grpc-timeout', `${Math.max(1, Math.ceil(deadlineMs - systemClock.now()))}m`);
  return metadata;
}
