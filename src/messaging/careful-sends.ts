import type { Clock } from '../core/clock.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Random } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Content } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';
import { encoded } from './local-origin.js';
import type { OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';

export interface CarefulSendsDeps {
  /** Sends a message once. */
  readonly sendOnce: (message: OutgoingMessage, waiter: Waiter) => PendingMessage;
  /** Whether an agent that nobody has now was there before. */
  readonly mayComeBack: (agentId: string) => boolean;
  readonly deadLetters: DeadLetterSink;
  readonly clock: Clock;
  readonly random: Random;
}

/** What the messages of one sender to one receiver that wait for the one before may take together. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** Messages of one sender to one receiver that may wait for the one before. */
const MAX_WAITING = 1_000;
const BACKOFF = { initialMs: 10, capMs: 500 };
/** One try of those that are sent until they are acknowledged. */
const TRY_MS = 5_000;

interface Line {
  readonly waiting: Fifo<CarefulSend>;
  bytes: number;
}

/**
 * Sends that are tried again: those that wait for room in a full mailbox, and those that are sent until they are acknowledged. One after the other
 * for each sender and receiver, so that what is sent again does not come after what was sent later.
 */
export class CarefulSends {
  private readonly lines = new Map<string, Line>();

  constructor(private readonly deps: CarefulSendsDeps) {}

  /** @throws INVALID_ARGUMENT: the content is no JSON, or too large. */
  send(given: OutgoingMessage, waiter: Waiter): PendingMessage {
    // As it is now: it may be sent much later, and again.
    const content = encoded(given.content);
    const message = { ...given, content };
    const key = `${message.from}>${message.to}`;
    const send = new CarefulSend(message, waiter, this.deps, () => this.ended(key));
    const line = this.lines.get(key);
    if (line === undefined) {
      this.lines.set(key, { waiting: new Fifo(), bytes: 0 });
      send.begin();
    } else if (line.waiting.size >= MAX_WAITING || line.bytes + content.length > MAX_WAITING_BYTES) {
      const why = `${line.waiting.size} messages to "${message.to}" wait to be sent; await them`;
      send.refuse(new TroupeError('RESOURCE_EXHAUSTED', 'SEND_QUEUE_FULL', why, { metadata: { started: 'false' } }));
    } else {
      send.wait();
      line.waiting.push(send);
      line.bytes += content.length;
    }
    return send;
  }

  private ended(key: string): void {
    const line = this.lines.get(key);
    for (let next = line?.waiting.shift(); next !== undefined; next = line?.waiting.shift()) {
      if (line !== undefined) line.bytes -= next.bytes;
      if (next.hasEnded) continue;
      // In a turn of its own: one that is refused at once would begin the next within itself.
      const first = next;
      queueMicrotask(() => (first.hasEnded ? this.ended(key) : first.begin()));
      return;
    }
    this.lines.delete(key);
  }
}

type SendState =
  | { readonly kind: 'waiting'; readonly cancelTimer: () => void }
  | { readonly kind: 'sent'; readonly pending: PendingMessage | undefined }
  | { readonly kind: 'ended' };

const ENDED: SendState = { kind: 'ended' };

class CarefulSend implements PendingMessage {
  private state: SendState = { kind: 'sent', pending: undefined };
  private tries = 0;
  private isFirst = false;

  constructor(
    private readonly message: OutgoingMessage & { readonly content: Content },
    private readonly waiter: Waiter,
    private readonly deps: CarefulSendsDeps,
    private readonly onEnd: () => void,
  ) {}

  get bytes(): number {
    return this.message.content.length;
  }

  get hasEnded(): boolean {
    return this.state.kind === 'ended';
  }

  /** It is not sent at all. */
  refuse(error: TroupeError): void {
    this.state = ENDED;
    this.giveUp(error);
  }

  /** Another one goes first. */
  wait(): void {
    this.state = { kind: 'waiting', cancelTimer: this.atDeadline() };
  }

  begin(): void {
    if (this.state.kind === 'waiting') this.state.cancelTimer();
    this.isFirst = true;
    this.try();
  }

  cancel(error: TroupeError): void {
    const { state } = this;
    if (state.kind === 'ended') return;
    if (state.kind === 'waiting') state.cancelTimer();
    this.state = ENDED;
    if (state.kind === 'sent') state.pending?.cancel(error);
    this.giveUp(error);
    this.end();
  }

  demand(): void {}

  private try(): void {
    this.tries += 1;
    this.state = { kind: 'sent', pending: undefined };
    const pending = this.deps.sendOnce(this.forOneTry(), {
      answered: (content, from) => {
        if (this.state.kind === 'ended') return;
        this.waiter.answered(content, from);
        this.end();
      },
      failed: (error) => this.failed(error),
    });
    if (this.state.kind === 'sent') this.state = { kind: 'sent', pending };
  }

  /** Where it is sent until it is acknowledged, an acknowledgement that was lost on its way is not waited for to the end. */
  private forOneTry(): OutgoingMessage {
    const { message, deps } = this;
    if (!message.atLeastOnce) return message;
    return { ...message, deadlineMs: Math.min(message.deadlineMs, deps.clock.now() + TRY_MS) };
  }

  private failed(error: TroupeError): void {
    if (this.state.kind === 'ended') return;
    const pauseMs = backoffMs(this.tries, BACKOFF, this.deps.random);
    const isInTime = this.deps.clock.now() + pauseMs < this.message.deadlineMs;
    if (!this.mayTryAgain(error) || !isInTime) {
      this.giveUp(error.reason === 'MAILBOX_FULL' && this.message.waitForRoom ? noRoom(this.message.to) : error);
      this.end();
      return;
    }
    this.state = { kind: 'waiting', cancelTimer: this.deps.clock.after(pauseMs, () => this.try()) };
  }

  /** Whether another try can help, and does no harm. */
  private mayTryAgain({ code, reason, metadata }: TroupeError): boolean {
    const { waitForRoom, atLeastOnce, to } = this.message;
    if (waitForRoom && (reason === 'MAILBOX_FULL' || reason === 'LINK_FULL')) return true;
    if (!atLeastOnce) return false;
    if (code === 'DEADLINE_EXCEEDED' || reason === 'OUTCOME_UNKNOWN') return true;
    if (reason === 'UNKNOWN_AGENT') return this.deps.mayComeBack(to);
    return code === 'UNAVAILABLE' && metadata.started === 'false';
  }

  private giveUp(error: TroupeError): void {
    this.deps.deadLetters.add(this.message, error);
    this.waiter.failed(error);
  }

  private end(): void {
    this.state = ENDED;
    if (this.isFirst) this.onEnd();
  }

  private atDeadline(): () => void {
    const ms = this.message.deadlineMs - this.deps.clock.now();
    return this.deps.clock.after(ms, () =>
      this.cancel(deadlineExceeded('the deadline passed while messages sent before it had not arrived')),
    );
  }
}

function noRoom(to: string): TroupeError {
  return deadlineExceeded(`the mailbox of "${to}" had no room for the message before its deadline`);
}
