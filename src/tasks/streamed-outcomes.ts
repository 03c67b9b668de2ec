import { TroupeError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { RoutedStreamTaskResponse } from '../gen/troupe/internal/v1/routed.js';

/** As many messages, or bytes of them, are read before more are asked for: less than a node sends ahead (16 messages, 1 MiB). */
const ASK_MESSAGES = 8;
const ASK_BYTES = 256 * 1024;
/** A node that sends so many more than were asked for is not listened to. */
const MAX_AHEAD = 64;

type End = { readonly kind: 'completed' } | { readonly kind: 'failed'; readonly error: TroupeError };

/** What comes of a streamed task over a link, for one who iterates. Asks for more as it is read, so that the agent waits for its reader. */
export class StreamedOutcomes {
  private readonly messages = new Fifo<RoutedStreamTaskResponse>();
  private read = 0;
  private readBytes = 0;
  private end: End | undefined;
  private wake: () => void = () => undefined;

  /** `ask`: so many messages were read. */
  constructor(private readonly ask: (messages: number) => void) {}

  push(message: RoutedStreamTaskResponse): void {
    if (this.end !== undefined) return;
    if (this.messages.size >= MAX_AHEAD) {
      this.fail(new TroupeError('INTERNAL', 'STREAM_OVERFLOW', 'the node sent more of the stream than was asked for'));
      return;
    }
    this.messages.push(message);
    this.wake();
  }

  /** What has come is still given. */
  complete(): void {
    this.finish({ kind: 'completed' });
  }

  /** What has come is still given. */
  fail(error: TroupeError): void {
    this.finish({ kind: 'failed', error });
  }

  /** To the end. @throws TroupeError: how it failed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    for (;;) {
      const message = this.messages.shift();
      if (message !== undefined) {
        this.took(message);
        yield message;
      } else if (this.end === undefined) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      } else if (this.end.kind === 'failed') throw this.end.error;
      else return;
    }
  }

  private took({ event }: RoutedStreamTaskResponse): void {
    if (this.end !== undefined) return;
    this.read += 1;
    if (event?.$case === 'chunk' || event?.$case === 'result') this.readBytes += event.value.payload.length;
    if (this.read < ASK_MESSAGES && this.readBytes < ASK_BYTES) return;
    this.ask(this.read);
    this.read = 0;
    this.readBytes = 0;
  }

  private finish(end: End): void {
    this.end ??= end;
    this.wake();
  }
}
