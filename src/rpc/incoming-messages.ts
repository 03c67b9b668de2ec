import { type StatusObject, status } from '@grpc/grpc-js';
import { Fifo } from '../core/fifo.js';
import { fromServiceError } from './status.js';

/** Read ahead of whoever iterates: as many as grpc-js would, but no more than an HTTP/2 window of bytes. */
const MAX_AHEAD = 16;
const MAX_AHEAD_BYTES = 64 * 1024;

/**
 * What a server streams, for one who iterates: only so much is read ahead of them that a server which streams large messages waits for its
 * reader. Unlike grpc-js's own streams, which read 16 messages ahead, however large they are.
 */
export class IncomingMessages {
  private readonly messages = new Fifo<Buffer>();
  private bytes = 0;
  private isReading = false;
  private end: StatusObject | undefined;
  private wake: () => void = () => undefined;

  /** `startRead` asks for one message; `onEnd` is called once. */
  constructor(
    private readonly startRead: () => void,
    private readonly onEnd: (status: StatusObject) => void,
  ) {}

  get hasEnded(): boolean {
    return this.end !== undefined;
  }

  /** Takes the first read; what `startRead` needs must be there. */
  read(): void {
    if (this.isReading || this.hasEnded || this.messages.size >= MAX_AHEAD || this.bytes >= MAX_AHEAD_BYTES) return;
    this.isReading = true;
    this.startRead();
  }

  onMessage(message: Buffer): void {
    this.isReading = false;
    this.messages.push(message);
    this.bytes += message.length;
    this.wake();
    this.read();
  }

  onStatus(end: StatusObject): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.onEnd(end);
    this.wake();
  }

  /** To the end. @throws TroupeError: the status of the call, after what came before it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const message = this.messages.shift();
      if (message !== undefined) {
        this.bytes -= message.length;
        this.read();
        yield message;
      } else if (this.end === undefined) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      } else if (this.end.code === status.OK) return;
      else throw fromServiceError(this.end);
    }
  }
}
