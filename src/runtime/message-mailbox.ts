import { HELD_OVERHEAD_BYTES } from '../core/bytes.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Delivery } from './delivery.js';
import { notStarted } from './refusals.js';

export interface MessageMailboxOptions {
  readonly agentId: string;
  /** Messages that may wait. As many more may wait for room, of those whose senders asked for that. */
  readonly capacity: number;
  /** Messages handled at once. */
  readonly concurrency: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Handles one message: gives the promise of its end where it is not over at once. Neither throws nor rejects. */
export type HandleMessage = (delivery: Delivery) => Promise<void> | undefined;

/** What those that wait for room may hold together, with what holding them takes. */
const MAX_PARKED_BYTES = 4 * 1024 * 1024;

/**
 * Where the messages of one agent wait: bounded, first in, first out, beside the mailbox of its tasks, so that a message reaches an agent that works
 * on a long task. Never gives up what it has taken while the agent lives.
 */
export class MessageMailbox {
  private readonly waiting = new Fifo<Delivery>();
  private readonly parked = new Fifo<Delivery>();
  private parkedBytes = 0;
  private running = 0;
  private counts = { handled: 0, refused: 0 };
  private isClosed = false;
  private idle: (() => void)[] = [];
  private readonly ended = () => {
    this.running -= 1;
    this.counts.handled += 1;
    this.next();
  };

  constructor(
    private readonly options: MessageMailboxOptions,
    private readonly handle: HandleMessage,
  ) {}

  /** Messages that the agent works on. */
  get inFlight(): number {
    return this.running;
  }

  /** Messages that wait, those for room included. */
  get queued(): number {
    return this.waiting.size + this.parked.size;
  }

  get handled(): number {
    return this.counts.handled;
  }

  get refused(): number {
    return this.counts.refused;
  }

  /** Takes a message (undefined), lets it wait for room ('parked'), or says why not. */
  offer(delivery: Delivery): undefined | 'parked' | TroupeError {
    if (this.isClosed) return this.notHere();
    if (this.running < this.options.concurrency && this.waiting.size === 0) {
      this.begin(delivery);
      return undefined;
    }
    if (this.waiting.size < this.options.capacity && this.parked.size === 0) {
      delivery.content.retain();
      this.waiting.push(delivery);
      return undefined;
    }
    const bytes = this.parkedBytes + parkedSize(delivery);
    if (
      delivery.waitForRoom &&
      delivery.kind === 'send' &&
      this.parked.size < this.options.capacity &&
      bytes <= MAX_PARKED_BYTES
    ) {
      delivery.content.retain();
      this.parkedBytes = bytes;
      this.parked.push(delivery);
      return 'parked';
    }
    this.counts.refused += 1;
    return this.full();
  }

  /** Takes nothing any more. */
  close(): void {
    this.isClosed = true;
  }

  /** Gives up what waits: messages that were taken are lost, those that wait for room are refused. */
  clear(error: TroupeError): number {
    const lost = this.waiting.clear();
    const refused = this.parked.clear();
    this.parkedBytes = 0;
    for (const delivery of lost) {
      if (delivery.kind === 'request') delivery.origin.failed(delivery, error);
      else delivery.origin.lost(delivery, error, this.options.agentId);
    }
    for (const delivery of refused) delivery.origin.refused(delivery, error);
    this.tellIdle();
    return lost.length + refused.length;
  }

  /** Resolves when nothing is handled and nothing waits. */
  whenIdle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private get isIdle(): boolean {
    return this.running === 0 && this.queued === 0;
  }

  private begin(delivery: Delivery): void {
    this.running += 1;
    const work = this.handle(delivery);
    if (work === undefined) {
      // Done at once. What waits goes on when its turn comes: `next` would call itself for each of them.
      this.running -= 1;
      this.counts.handled += 1;
    } else {
      void work.then(this.ended, this.ended);
    }
  }

  private next(): void {
    while (this.running < this.options.concurrency) {
      const delivery = this.waiting.shift();
      if (delivery === undefined) break;
      this.unpark();
      // Nobody waits for the answer any more; what was only sent is handled all the same.
      const isLate =
        delivery.kind === 'request' && (delivery.cancelled !== undefined || delivery.deadlineMs <= this.options.now());
      if (isLate) delivery.origin.failed(delivery, delivery.cancelled ?? deadlineExceeded());
      else this.begin(delivery);
    }
    this.tellIdle();
  }

  /** There is room for one of those that wait for that. */
  private unpark(): void {
    for (let delivery = this.parked.shift(); delivery !== undefined; delivery = this.parked.shift()) {
      this.parkedBytes -= parkedSize(delivery);
      if (delivery.deadlineMs <= this.options.now()) {
        delivery.origin.refused(delivery, this.full());
        continue;
      }
      this.waiting.push(delivery);
      delivery.origin.taken(delivery);
      return;
    }
  }

  private tellIdle(): void {
    if (this.idle.length === 0 || !this.isIdle) return;
    const idle = this.idle;
    this.idle = [];
    for (const resolve of idle) resolve();
  }

  private full(): TroupeError {
    const { agentId, capacity } = this.options;
    return new TroupeError(
      'RESOURCE_EXHAUSTED',
      'MAILBOX_FULL',
      `the mailbox of "${agentId}" is full (${capacity} messages wait); try later, or let it wait for room`,
      { ...notStarted(agentId), retryAfterMs: 100 },
    );
  }

  private notHere(): TroupeError {
    const { agentId } = this.options;
    return new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `agent "${agentId}" takes no messages any more`, notStarted(agentId));
  }
}

function parkedSize({ content }: Delivery): number {
  return content.length + HELD_OVERHEAD_BYTES;
}
