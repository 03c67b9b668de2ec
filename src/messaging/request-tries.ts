import type { Clock } from '../core/clock.js';
import type { TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Content } from '../runtime/delivery.js';
import type { Messages } from './messages.js';
import type { OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';

export interface RequestTriesDeps {
  readonly messages: Messages;
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_TRIES = 4;
const BACKOFF = { initialMs: 50, capMs: 1_000 };

/** Asks again where nobody has seen the question, or where asking twice does no harm; a full mailbox is not asked again. */
export class RequestTries {
  constructor(private readonly deps: RequestTriesDeps) {}

  request(message: OutgoingMessage, waiter: Waiter, idempotent: boolean): PendingMessage {
    const tries = new Tries(message, waiter, idempotent, this.deps);
    tries.pending = this.deps.messages.request(message, tries);
    return tries;
  }
}

class Tries implements Waiter, PendingMessage {
  pending: PendingMessage | undefined = undefined;
  private count = 1;
  private cancelPause: (() => void) | undefined = undefined;

  constructor(
    private readonly message: OutgoingMessage,
    private readonly waiter: Waiter,
    private readonly idempotent: boolean,
    private readonly deps: RequestTriesDeps,
  ) {}

  answered(content: Content | undefined, from: string): void {
    this.waiter.answered(content, from);
  }

  failed(error: TroupeError): void {
    const { clock, random, messages } = this.deps;
    const pauseMs = backoffMs(this.count, BACKOFF, random);
    const mayTry = this.count < MAX_TRIES && clock.now() + pauseMs < this.message.deadlineMs && this.isWorthIt(error);
    if (!mayTry) return this.waiter.failed(error);
    this.count += 1;
    this.cancelPause = clock.after(pauseMs, () => {
      this.cancelPause = undefined;
      this.pending = messages.request(this.message, this);
    });
  }

  cancel(error: TroupeError): void {
    if (this.cancelPause === undefined) return this.pending?.cancel(error);
    this.cancelPause();
    this.cancelPause = undefined;
    this.waiter.failed(error);
  }

  demand(parts: number): void {
    this.pending?.demand(parts);
  }

  private isWorthIt({ code, reason, metadata }: TroupeError): boolean {
    if (reason === 'OUTCOME_UNKNOWN') return this.idempotent;
    return code === 'UNAVAILABLE' && metadata.started === 'false';
  }
}
