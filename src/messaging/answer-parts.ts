import type { Reply } from '../agent/messages.js';
import { abortError, TroupeError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Content } from '../runtime/delivery.js';
import type { PendingMessage, Waiter } from './outgoing.js';
import { ContentReply } from './reply.js';

type End = { readonly kind: 'answered'; readonly reply: Reply } | { readonly kind: 'failed'; readonly error: TroupeError };

/** An answer that comes in parts, for one reader, who asks for more as it reads. */
export class AnswerParts implements Waiter {
  /** Parts that may be on their way to the reader. */
  static readonly WINDOW = 16;
  private readonly parts = new Fifo<Reply>();
  private end: End | undefined;
  private wake: () => void = () => undefined;

  /** `from`: who is asked. */
  constructor(private readonly from: string) {}

  answered(content: Content | undefined, from: string): void {
    this.end = { kind: 'answered', reply: new ContentReply(content, from) };
    this.wake();
  }

  failed(error: TroupeError): void {
    this.end = { kind: 'failed', error };
    this.wake();
  }

  part(_sequence: number, content: Content): void {
    this.parts.push(new ContentReply(content, this.from));
    this.wake();
  }

  /** The parts, then the answer. Whoever leaves before that calls the rest off. */
  async *read(pending: PendingMessage, signal: AbortSignal | undefined): AsyncGenerator<Reply, Reply, undefined> {
    const onAbort = () => pending.cancel(signal === undefined ? cancelled() : abortError(signal));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    let read = 0;
    try {
      for (;;) {
        const part = this.parts.shift();
        if (part !== undefined) {
          read += 1;
          if (read % (AnswerParts.WINDOW / 2) === 0) pending.demand(AnswerParts.WINDOW / 2);
          yield part;
        } else if (this.end === undefined) {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
        } else if (this.end.kind === 'answered') return this.end.reply;
        else throw this.end.error;
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (this.end === undefined) pending.cancel(cancelled());
    }
  }
}

function cancelled(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the reader has gone');
}
