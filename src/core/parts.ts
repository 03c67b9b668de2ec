import { abortError, TroupeError } from './errors.js';
import { Fifo } from './fifo.js';

/** Where the parts come from. */
export interface PartSource {
  /** So many more may come. */
  demand(parts: number): void;
  /** Nobody reads them any more. */
  cancel(error: TroupeError): void;
}

/** Parts that may be on their way to the reader: what is asked for at first. */
export const PARTS_WINDOW = 16;

type End<T> = { readonly kind: 'answered'; readonly answer: T } | { readonly kind: 'failed'; readonly error: TroupeError };

/** An answer that comes in parts, for one reader, who asks for more as it reads. */
export class Parts<T> {
  private readonly parts = new Fifo<T>();
  private end: End<T> | undefined;
  private wake: () => void = () => undefined;

  part(part: T): void {
    this.parts.push(part);
    this.wake();
  }

  /** The last of it: the answer itself. */
  answered(answer: T): void {
    this.end = { kind: 'answered', answer };
    this.wake();
  }

  failed(error: TroupeError): void {
    this.end = { kind: 'failed', error };
    this.wake();
  }

  /** The parts, then the answer. Whoever leaves before that calls the rest off. */
  async *read(source: PartSource, signal: AbortSignal | undefined): AsyncGenerator<T, T, undefined> {
    const onAbort = () => source.cancel(signal === undefined ? cancelled() : abortError(signal));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    let read = 0;
    try {
      for (;;) {
        const part = this.parts.shift();
        if (part !== undefined) {
          read += 1;
          if (read % (PARTS_WINDOW / 2) === 0) source.demand(PARTS_WINDOW / 2);
          yield part;
        } else if (this.end === undefined) {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
        } else if (this.end.kind === 'answered') return this.end.answer;
        else throw this.end.error;
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (this.end === undefined) source.cancel(cancelled());
    }
  }
}

function cancelled(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the reader has gone');
}
