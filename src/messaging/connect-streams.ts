import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import type { Hello } from '../gen/troupe/v1/messaging.js';
import { readFrame } from '../link/session-frames.js';
import { type ByteStreamListener, type ListenedStream, ServerByteStream } from '../rpc/byte-stream.js';
import type { Logger } from '../telemetry/logger.js';
import * as refusals from './session-errors.js';
import type { Sessions } from './sessions.js';

export interface ConnectDeps {
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Takes over a stream that belongs to another process, paused, with the bytes of its hello; false where it is for this one.
   * @throws what keeps the program out.
   */
  readonly passOn?: (hello: Hello, bytes: Buffer, stream: ListenedStream) => boolean;
}

/** The first frame comes within this. */
const HELLO_MS = 5_000;

/** Messaging.Connect: waits for hello, and gives the stream to whom it is for. */
export function connectStreams(deps: ConnectDeps): { readonly Connect: handleBidiStreamingCall<Buffer, Buffer> } {
  return {
    Connect: (call) => {
      const awaiting = new AwaitingHello(deps);
      awaiting.stream = new ServerByteStream(call, deps.clock, awaiting);
    },
  };
}

class AwaitingHello implements ByteStreamListener {
  stream: ServerByteStream | undefined;
  private readonly disarm: () => void;

  constructor(private readonly deps: ConnectDeps) {
    this.disarm = deps.clock.after(HELLO_MS, () => this.stream?.fail(refusals.lateHello(HELLO_MS)));
  }

  message(bytes: Buffer): void {
    const { stream } = this;
    if (stream === undefined) return;
    this.disarm();
    this.attach(bytes, stream).catch((error: unknown) => {
      if (!(error instanceof TroupeError)) this.deps.logger.error('a program could not be attached', { error });
      stream.fail(error instanceof TroupeError ? error : new TroupeError('INTERNAL', 'INTERNAL', 'internal error'));
    });
  }

  ended(): void {
    this.disarm();
    this.stream?.fail(refusals.noHello());
  }

  lost(): void {
    this.disarm();
  }

  private async attach(bytes: Buffer, stream: ServerByteStream): Promise<void> {
    const frame = readFrame(bytes);
    if (frame.$case !== 'hello') throw refusals.noHello();
    const { sessions, passOn } = this.deps;
    // What follows waits until it is known whom it is for.
    stream.pause();
    if (passOn?.(frame.value, bytes, stream) === true) return;
    await sessions.open(frame.value, stream);
    stream.resume();
  }
}
