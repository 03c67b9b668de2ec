import type { Clock } from '../core/clock.js';
import { abortError, type TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Content } from '../runtime/delivery.js';
import type { Messages } from './messages.js';
import type { OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';

export interface RequestDeps {
  readonly messages: Messages;
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_TRIES = 4;
const BACKOFF = { initialMs: 50, capMs: 1_000 };

/** Asks, and asks again where nobody has seen the question, or where asking twice does no harm; a full mailbox is not asked again. */
export class RequestWaiter implements Waiter, PendingMessage {
  private pending: PendingMessage | undefined = undefined;
  private tries = 0;
  private cancelPause: (() => void) | undefined = undefined;
  private release: (() => void) | undefined = undefined;
  private isOver = false;

  constructor(
    private readonly deps: RequestDeps,
    private readonly message: OutgoingMessage,
    private readonly idempotent: boolean,
    /** The content is valid until the end of the turn, unless retained. */
    private readonly onAnswer: (content: Content | undefined, from: string) => void,
    private readonly onFailure: (error: TroupeError) => void,
  ) {}

  /** Asks. `signal` ends the wait. */
  begin(signal: AbortSignal | undefined): this {
    if (signal?.aborted) {
      this.end(abortError(signal));
      return this;
    }
    if (signal !== undefined) {
      const onAbort = () => this.cancel(abortError(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      this.release = () => signal.removeEventListener('abort', onAbort);
    }
    this.ask();
    return this;
  }

  answered(content: Content | undefined, from: string): void {
    this.isOver = true;
    this.release?.();
    this.onAnswer(content, from);
  }

  failed(error: TroupeError): void {
    if (this.isOver) return;
    const { clock, random } = this.deps;
    const pauseMs = backoffMs(this.tries, BACKOFF, random);
    const isInTime = this.tries < MAX_TRIES && clock.now() + pauseMs < this.message.deadlineMs;
    if (!isInTime || !this.mayAskAgain(error)) {
      this.end(error);
      return;
    }
    this.cancelPause = clock.after(pauseMs, () => {
      this.cancelPause = undefined;
      this.ask();
    });
  }

  demand(parts: number): void {
    this.pending?.demand(parts);
  }

  private ask(): void {
    this.tries += 1;
    this.pending = this.deps.messages.request(this.message, this);
  }

  cancel(error: TroupeError): void {
    if (this.isOver) return;
    this.cancelPause?.();
    this.end(error);
    this.pending?.cancel(error);
  }

  private end(error: TroupeError): void {
    this.isOver = true;
    this.release?.();
    this.onFailure(error);
  }

  private mayAskAgain({ code, reason, metadata }: TroupeError): boolean {
    if (reason === 'OUTCOME_UNKNOWN') return this.idempotent;
    return code === 'UNAVAILABLE' && metadata.started === 'false';
  }
}
