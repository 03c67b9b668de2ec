import { type CallOptions, type Channel, Client, type ClientReadableStream, credentials, Metadata, status } from '@grpc/grpc-js';
import { systemClock } from '../core/clock.js';
import { abortError, TroupeError } from '../core/errors.js';
import { fromServiceError } from './status.js';

export interface RawCallOptions {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly traceparent?: string | undefined;
  /**
   * Of a unary call: the peer is told of the deadline, and its answer to that waited for so much longer; 0 when not given. A caller that ends its calls
   * itself sends RST_STREAM for each, of which Node.js' HTTP/2 server takes 1,000 and 33 a second after that, and then ends the connection.
   */
  readonly graceMs?: number;
}

/** What a unary call under way offers: its end, and calling it off. */
export interface RawCall {
  readonly response: Promise<Buffer>;
  cancel(): void;
}

/**
 * Calls on bytes, straight over grpc-js: the hot path of tasks, where a typed client's middlewares and generators would cost a fifth.
 * Errors are TroupeErrors.
 */
export class RawClient {
  private readonly client: Client;

  constructor(private readonly channel: Channel) {
    this.client = new Client('', credentials.createInsecure(), { channelOverride: channel });
  }

  /** Without grpc-js's client above its channel, which captures a stack for every call. */
  unary(path: string, request: Buffer, options: RawCallOptions): RawCall {
    const { deadlineMs, graceMs = 0 } = options;
    const call = this.channel.createCall(path, graceMs === 0 ? deadlineMs : Number.POSITIVE_INFINITY, undefined, null, undefined);
    let disarm: () => void = () => undefined;
    const metadata = graceMs === 0 ? metadataOf(options) : withTimeout(metadataOf(options), deadlineMs);
    const response = new Promise<Buffer>((resolve, reject) => {
      let bytes: Buffer | undefined;
      call.start(metadata, {
        onReceiveMetadata: () => undefined,
        onReceiveMessage: (message: Buffer) => {
          bytes = message;
        },
        onReceiveStatus: (end) => {
          disarm();
          if (end.code !== status.OK) reject(fromServiceError(end));
          else if (bytes !== undefined) resolve(bytes);
          else reject(new TroupeError('UNIMPLEMENTED', 'UNIMPLEMENTED', 'the peer sent no message'));
        },
      });
    });
    if (graceMs > 0) {
      const late = () => call.cancelWithStatus(status.DEADLINE_EXCEEDED, 'the deadline passed without an answer');
      disarm = systemClock.after(deadlineMs - systemClock.now() + graceMs, late);
    }
    call.startRead();
    call.sendMessageWithContext({}, request);
    call.halfClose();
    return { response, cancel: () => call.cancelWithStatus(status.CANCELLED, 'cancelled by the caller') };
  }

  /** Ends the call when the iteration is left early or `signal` aborts. @throws TroupeError */
  async *serverStream(
    path: string,
    request: Buffer,
    options: RawCallOptions & { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<Buffer, void, undefined> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const call: ClientReadableStream<Buffer> = this.client.makeServerStreamRequest(
      path,
      identity,
      identity,
      request,
      metadataOf(options),
      callOptions(options),
    );
    const cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      for await (const bytes of call) yield bytes as Buffer;
    } catch (error) {
      throw signal?.aborted ? abortError(signal) : (fromServiceError(error) satisfies TroupeError);
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }
}

const identity = (bytes: Buffer) => bytes;
const NO_METADATA = new Metadata();

function metadataOf({ traceparent }: RawCallOptions): Metadata {
  if (traceparent === undefined) return NO_METADATA;
  const metadata = new Metadata();
  metadata.set('traceparent', traceparent);
  return metadata;
}

/** What grpc-js sends for a deadline of its own (PROTOCOL-HTTP2.md, Timeout). */
function withTimeout(given: Metadata, deadlineMs: number): Metadata {
  const metadata = given === NO_METADATA ? new Metadata() : given;
  metadata.set('grpc-timeout', `${Math.max(1, Math.ceil(deadlineMs - systemClock.now()))}m`);
  return metadata;
}

function callOptions({ deadlineMs }: RawCallOptions): CallOptions {
  return Number.isFinite(deadlineMs) ? { deadline: deadlineMs } : {};
}
