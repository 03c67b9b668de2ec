import type { Reply } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { abortError, type TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Content } from '../runtime/delivery.js';
import type { Messages } from './messages.js';
import type { OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';
import { ContentReply } from './reply.js';

export interface RequestDeps {
  readonly messages: Messages;
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_TRIES = 4;
const BACKOFF = { initialMs: 50, capMs: 1_000 };

/** Asks, and asks again where nobody has seen the question, or where asking twice does no harm; a full mailbox is not asked again. */
export class RequestWaiter implements Waiter {
  private pending: PendingMessage | undefined = undefined;
  private tries = 0;
  private cancelPause: (() => void) | undefined = undefined;
  private release: (() => void) | undefined = undefined;
  private isOver = false;

  constructor(
    private readonly deps: RequestDeps,
    private readonly message: OutgoingMessage,
    private readonly idempotent: boolean,
    private readonly resolve: (reply: Reply) => void,
    private readonly reject: (error: TroupeError) => void,
  ) {}

  /** Asks. `signal` ends the wait. */
  begin(signal: AbortSignal | undefined): void {
    if (signal?.aborted) return this.end(abortError(signal));
    if (signal !== undefined) {
      const onAbort = () => this.cancel(abortError(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      this.release = () => signal.removeEventListener('abort', onAbort);
    }
    this.ask();
  }

  answered(content: Content | undefined, from: string): void {
    this.isOver = true;
    this.release?.();
    this.resolve(new ContentReply(content, from));
  }

  failed(error: TroupeError): void {
    if (this.isOver) return;
    const { clock, random } = this.deps;
    const pauseMs = backoffMs(this.tries, BACKOFF, random);
    const isInTime = this.tries < MAX_TRIES && clock.now() + pauseMs < this.message.deadlineMs;
    if (!isInTime || !this.mayAskAgain(error)) return this.end(error);
    this.cancelPause = clock.after(pauseMs, () => {
      this.cancelPause = undefined;
      this.ask();
    });
  }

  private ask(): void {
    this.tries += 1;
    this.pending = this.deps.messages.request(this.message, this);
  }

  private cancel(error: TroupeError): void {
    if (this.isOver) return;
    this.cancelPause?.();
    this.end(error);
    this.pending?.cancel(error);
  }

  private end(error: TroupeError): void {
    this.isOver = true;
    this.release?.();
    this.reject(error);
  }

  private mayAskAgain({ code, reason, metadata }: TroupeError): boolean {
    if (reason === 'OUTCOME_UNKNOWN') return this.idempotent;
    return code === 'UNAVAILABLE' && metadata.started === 'false';
  }
}
