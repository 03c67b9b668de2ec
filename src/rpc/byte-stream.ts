import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import type { TroupeError } from '../core/errors.js';
import { toStatusObject } from './status.js';

/** What comes over a stream of bytes. */
export interface ByteStreamListener {
  message(bytes: Buffer): void;
  /** The other end has ended its side in order: nothing more comes. */
  ended(): void;
  /** The stream is over, and this end did not end it. Once; nothing comes after it. */
  lost(): void;
}

/** This end of a stream whose messages are bytes. */
export interface ByteStream {
  /** Address of the other end. */
  readonly peer: string;
  /** `written`: it is on its way, and the next may follow. Not called for a stream that is over. */
  write(bytes: Buffer, written: () => void): void;
  /** Ends it in order, after what was written. */
  end(): void;
  /** Ends it with an error, after what was written. */
  fail(error: TroupeError): void;
  /** Nothing is read until `resume`. */
  pause(): void;
  resume(): void;
}

/** One that can be taken over, by another listener. */
export interface ListenedStream extends ByteStream {
  listener: ByteStreamListener;
}

/** A reset comes within this after an end in order. */
const RESET_MS = 100;
/** What was written before the end may take so long to leave; then it is cut. */
const LAST_WORDS_MS = 2_000;

/** The server's end of a bidirectional call. */
export class ServerByteStream implements ListenedStream {
  private isOver = false;
  private disarm: () => void = () => undefined;
  readonly peer: string;

  constructor(
    private readonly call: ServerDuplexStream<Buffer, Buffer>,
    private readonly clock: Clock,
    public listener: ByteStreamListener,
  ) {
    this.peer = call.getPeer();
    call.on('data', (bytes: Buffer) => {
      if (!this.isOver) this.listener.message(bytes);
    });
    call.on('end', () => {
      // Clients on Node.js end a stream in order just before they reset it.
      if (!this.isOver) this.disarm = this.clock.after(RESET_MS, () => this.isOver || this.listener.ended());
    });
    // Also at the end of each call.
    call.on('cancelled', () => {
      this.disarm();
      if (this.isOver) return;
      this.isOver = true;
      this.listener.lost();
    });
  }

  write(bytes: Buffer, written: () => void): void {
    if (!this.isOver) this.call.write(bytes, (error?: Error | null) => (error ? undefined : written()));
  }

  end(): void {
    if (!this.over()) return;
    this.call.end();
  }

  fail(error: TroupeError): void {
    if (!this.over()) return;
    this.call.emit('error', toStatusObject(error));
  }

  pause(): void {
    this.call.pause();
  }

  resume(): void {
    this.call.resume();
  }

  /** Whether it was not over before. What the peer still sends must not keep the stream: it is read, and dropped. */
  private over(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.disarm();
    this.call.resume();
    if (!this.call.cancelled) this.disarm = this.clock.after(LAST_WORDS_MS, () => this.cut());
    return true;
  }

  /** For a peer that does not read what goes before the status: grpc-js has no way to end such a call. */
  private cut(): void {
    const inner = Reflect.get(this.call, 'call') as { readonly stream?: ServerHttp2Stream } | undefined;
    inner?.stream?.close(constants.NGHTTP2_CANCEL);
  }
}
