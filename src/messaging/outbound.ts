import type { TroupeError } from '../core/errors.js';
import type { Peer } from '../link/peer.js';
import type { Content, Delivery } from '../runtime/delivery.js';
import type { OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';
import type { Pending } from './pending-messages.js';

/** What a message that is waited for needs of its router. */
export interface OutboundOwner {
  /** It is given up: the receiver is told. */
  abandon(outbound: Outbound, error: TroupeError): void;
  /** So many more parts of its answer are wanted. */
  demand(outbound: Outbound, parts: number): void;
}

/** A message that was sent, and whose fate is not known yet. */
export class Outbound implements Pending, PendingMessage {
  /** Its correlation id. */
  id = 0;
  /** The process that it went to; undefined while it waits, or where its receiver is in this one. */
  peer: Peer | undefined = undefined;
  frame = 0;
  /** As it is at its receiver in this process. */
  delivery: Delivery | undefined = undefined;
  private isOver = false;

  constructor(
    private readonly owner: OutboundOwner,
    readonly kind: 'send' | 'request',
    /** Replaced by the same with its content encoded, where it is kept. */
    public message: OutgoingMessage,
    private readonly waiter: Waiter,
  ) {}

  get deadlineMs(): number {
    return this.message.deadlineMs;
  }

  get hasEnded(): boolean {
    return this.isOver;
  }

  answered(content: Content | undefined, from: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.waiter.answered(content, from);
  }

  failed(error: TroupeError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.waiter.failed(error);
  }

  part(sequence: number, content: Content): void {
    if (!this.isOver) this.waiter.part?.(sequence, content);
  }

  expire(error: TroupeError): void {
    if (this.isOver) return;
    this.owner.abandon(this, error);
    this.failed(error);
  }

  cancel(error: TroupeError): void {
    this.expire(error);
  }

  demand(parts: number): void {
    if (!this.isOver) this.owner.demand(this, parts);
  }
}
