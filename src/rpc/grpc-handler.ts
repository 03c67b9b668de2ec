import * as grpc from '@grpc/grpc-js';
import { TroupeError } from '../core/errors.js';
import type { Logger } from '../telemetry/logger.js';
import { traceFields } from '../telemetry/tracing.js';
import { type Call, GrpcCall, type ServerCall } from './call.js';
import type { CallObserver, ObservedCall } from './call-observer.js';
import { decodeMessage } from './decode.js';
import { encodeMessage } from './encode.js';
import type { MessageType, MethodDefinition } from './service.js';
import { toStatusObject } from './status.js';

type Unary = (request: unknown, call: Call) => unknown;
type ServerStream = (request: unknown, call: Call) => AsyncIterable<unknown>;
type Bidi = (requests: AsyncIterable<unknown>, call: Call) => AsyncIterable<unknown>;

export interface HandlerDeps {
  readonly logger: Logger;
  /** Whether the connection to a peer is there. */
  readonly isConnected: (peer: string) => boolean;
  /** Hears of each call. */
  readonly calls: { begin(): void; end(): void };
  /** Undefined where nobody wants to know. */
  readonly observer: CallObserver | undefined;
}

/** A handler of ours as one of grpc-js, which reads and writes bytes. */
export function asGrpcHandler(
  method: MethodDefinition,
  handler: never,
  { logger, isConnected, calls, observer }: HandlerDeps,
): grpc.UntypedHandleCall {
  const codec = { request: method.requestType as MessageType<unknown>, response: method.responseType as MessageType<unknown> };
  const fail = (call: ServerCall, { trace }: GrpcCall, error: unknown) => {
    if (!(error instanceof TroupeError) && !call.cancelled)
      logger.error('a handler failed', { method: call.getPath(), error, ...traceFields(trace?.traceparent) });
    return toStatusObject(error);
  };

  const streamed = (call: ServerCall) => {
    // The peer cannot be told any more when it has gone.
    const peer = call.getPeer();
    return new GrpcCall(call, () => isConnected(peer));
  };

  const surroundings = (call: ServerCall, ours: GrpcCall): Surroundings => ({
    calls,
    observed: observer?.begin(ours),
    fail: (error) => fail(call, ours, error),
  });

  if (method.requestStream) {
    const handle: Bidi = handler;
    const bidi: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      const ours = streamed(call);
      pump(call, () => handle(decodeAll(call, codec.request), ours), codec.response, surroundings(call, ours));
    };
    return bidi as grpc.UntypedHandleCall;
  }
  if (method.responseStream) {
    const handle: ServerStream = handler;
    const serverStream: grpc.handleServerStreamingCall<Buffer, Buffer> = (call) => {
      const ours = streamed(call);
      pump(call, () => handle(decodeMessage(codec.request, call.request), ours), codec.response, surroundings(call, ours));
    };
    return serverStream as grpc.UntypedHandleCall;
  }
  const handle: Unary = handler;
  const unary: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    const ours = new GrpcCall(call);
    calls.begin();
    const observed = observer?.begin(ours);
    const answer = async () => encode(codec.response, await handle(decodeMessage(codec.request, call.request), ours));
    answer().then(
      (response) => {
        ours.end();
        callback(null, response);
        observed?.end(grpc.status.OK);
        calls.end();
      },
      (error: unknown) => {
        ours.end();
        const failure = fail(call, ours, error);
        callback(failure);
        observed?.end(failure.code, error);
        calls.end();
      },
    );
  };
  return unary as grpc.UntypedHandleCall;
}

/** What a stream has around it. */
interface Surroundings {
  readonly calls: HandlerDeps['calls'];
  readonly observed: ObservedCall | undefined;
  readonly fail: (error: unknown) => grpc.StatusObject;
}

/** Writes what `open` yields, no faster than the peer reads, and ends the call; a peer that goes away ends the iteration. */
function pump<W extends grpc.ServerWritableStream<Buffer, Buffer> | grpc.ServerDuplexStream<Buffer, Buffer>>(
  call: W,
  open: () => AsyncIterable<unknown>,
  type: MessageType<unknown>,
  { fail, calls, observed }: Surroundings,
): void {
  calls.begin();
  const run = async () => {
    const departure = new Departure(call);
    const iterator = open()[Symbol.asyncIterator]();
    const backlog = new Backlog(call);
    try {
      for (;;) {
        const step = await departure.or(iterator.next());
        if (step === 'gone') return grpc.status.CANCELLED;
        if (step.done === true) {
          call.end();
          return grpc.status.OK;
        }
        const mayGoOn = backlog.write(encode(type, step.value));
        if (!mayGoOn && (await departure.or(backlog.drained())) === 'gone') return grpc.status.CANCELLED;
      }
    } finally {
      // Not awaited: a source that waits for something else ends when its own signal tells it.
      iterator.return?.().catch(() => undefined);
    }
  };
  run()
    .then(
      (code) => observed?.end(code),
      (error: unknown) => {
        const failure = fail(error);
        call.emit('error', failure);
        observed?.end(failure.code, error);
      },
    )
    .finally(() => calls.end());
}

/**
 * Ends a wait when the caller goes away. Only the wait under way is known here: racing each against one promise of the whole
 * call would keep the outcomes of all of them, every message, until the call ends.
 */
class Departure {
  private gone: boolean;
  private wake: () => void = () => undefined;

  constructor(call: ServerCall) {
    this.gone = call.cancelled;
    call.on('cancelled', () => {
      this.gone = true;
      this.wake();
    });
  }

  /** What `work` gives, or that the caller has gone. */
  or<T>(work: Promise<T>): Promise<T | 'gone'> {
    return new Promise((resolve, reject) => {
      this.wake = () => resolve('gone');
      if (this.gone) this.wake();
      work.then(resolve, reject);
    });
  }
}

/** Messages below it are left to the count of the stream, which takes 16. */
const LARGE_BYTES = 8 * 1024;
const MAX_BACKLOG_BYTES = 128 * 1024;

/** What was written and is not yet on its way: grpc-js counts messages only, and would take 16 however large they are. */
class Backlog {
  private bytes = 0;
  private isFull = false;
  private wake: () => void = () => undefined;

  constructor(private readonly call: grpc.ServerWritableStream<Buffer, Buffer> | grpc.ServerDuplexStream<Buffer, Buffer>) {
    call.on('drain', () => {
      this.isFull = false;
      this.wakeIfRoom();
    });
  }

  /** Whether more may be written at once. */
  write(message: Buffer): boolean {
    const { length } = message;
    if (length < LARGE_BYTES) this.isFull = !this.call.write(message);
    else {
      this.bytes += length;
      this.isFull = !this.call.write(message, () => {
        this.bytes -= length;
        this.wakeIfRoom();
      });
    }
    return this.hasRoom;
  }

  drained(): Promise<'drained'> {
    return new Promise((resolve) => {
      this.wake = () => resolve('drained');
      this.wakeIfRoom();
    });
  }

  private get hasRoom(): boolean {
    return !this.isFull && this.bytes < MAX_BACKLOG_BYTES;
  }

  private wakeIfRoom(): void {
    if (this.hasRoom) this.wake();
  }
}

/**
 * The requests of a stream; throws when the caller goes away. Not by the stream's own iterator: that destroys the stream when
 * it is left or has reached the end of the requests, and with it what is still to be answered.
 */
async function* decodeAll(
  call: grpc.ServerDuplexStream<Buffer, Buffer>,
  type: MessageType<unknown>,
): AsyncGenerator<unknown, void, undefined> {
  const departure = new Departure(call);
  let wake: () => void = () => undefined;
  let ended = false;
  call.on('readable', () => wake());
  call.on('end', () => {
    ended = true;
    wake();
  });
  for (;;) {
    const bytes = call.read() as Buffer | null;
    if (bytes !== null) yield decodeMessage(type, bytes);
    else if (ended) return;
    else {
      const more = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if ((await departure.or(more)) === 'gone') throw new TroupeError('CANCELLED', 'CANCELLED', 'the caller has gone');
    }
  }
}

function encode(type: MessageType<unknown>, message: unknown): Buffer {
  return Buffer.isBuffer(message) ? message : encodeMessage(type, message);
}
