import { TroupeError } from '../../../src/core/errors.js';
import { matches } from '../../../src/core/topic.js';
import { encoded } from '../../../src/messaging/local-origin.js';
import type { Messages } from '../../../src/messaging/messages.js';
import type { BroadcastResult, OutgoingMessage, PendingMessage, Waiter } from '../../../src/messaging/outgoing.js';
import { Delivery, type Origin, type Recipient } from '../../../src/runtime/delivery.js';

/** Carries messages within one process, at once: what the services of messaging need, without a cluster. */
export class LocalMessages implements Messages {
  readonly nodeId = 'node-1';
  /** Everything that was sent. */
  readonly sent: OutgoingMessage[] = [];
  readonly deliveries: Delivery[] = [];
  readonly lost: Delivery[] = [];
  silentNodes: readonly string[] = [];
  private readonly recipients = new Map<string, Recipient>();
  private readonly subscriptions = new Set<{ readonly pattern: string; readonly recipient: Recipient }>();

  get subscribed(): readonly string[] {
    return [...this.subscriptions].map(({ pattern }) => pattern);
  }

  attach(recipient: Recipient): () => void {
    this.recipients.set(recipient.id, recipient);
    return () => this.recipients.delete(recipient.id);
  }

  send(message: OutgoingMessage, waiter: Waiter): PendingMessage {
    return this.give(message, 'send', waiter);
  }

  request(message: OutgoingMessage, waiter: Waiter): PendingMessage {
    return this.give(message, 'request', waiter);
  }

  async broadcast(message: OutgoingMessage): Promise<BroadcastResult> {
    this.sent.push(message);
    const wanting = new Set(
      [...this.subscriptions].filter(({ pattern }) => matches(pattern, message.topic)).map((each) => each.recipient),
    );
    const delivered = new Map<string, boolean>();
    for (const recipient of wanting)
      delivered.set(recipient.id, recipient.offer(this.delivery(message, 'send', undefined)) === undefined);
    return { delivered, silentNodes: this.silentNodes };
  }

  async subscribe(pattern: string, recipient: Recipient) {
    const subscription = { pattern, recipient };
    this.subscriptions.add(subscription);
    return { pattern, cancel: () => void this.subscriptions.delete(subscription) };
  }

  private give(message: OutgoingMessage, kind: Delivery['kind'], waiter: Waiter): PendingMessage {
    this.sent.push(message);
    const delivery = this.delivery(message, kind, waiter);
    const recipient = this.recipients.get(message.to);
    const refusal =
      recipient === undefined
        ? new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `no agent "${message.to}"`)
        : recipient.offer(delivery);
    if (refusal instanceof TroupeError) waiter.failed(refusal);
    else if (refusal === undefined) delivery.origin.taken(delivery);
    return {
      cancel: (error) => {
        delivery.cancel(error);
        waiter.failed(error);
      },
      demand: () => undefined,
    };
  }

  private delivery(message: OutgoingMessage, kind: Delivery['kind'], waiter: Waiter | undefined): Delivery {
    const { content, atLeastOnce: _, ...parts } = message;
    const origin: Origin = {
      taken: (taken) => kind === 'send' && waiter?.answered(undefined, taken.to),
      refused: (_delivery, error) => waiter?.failed(error),
      answered: (answered, answer) => waiter?.answered(encoded(answer), answered.to),
      failed: (_delivery, error) => waiter?.failed(error),
      part: async () => undefined,
      lost: (lost) => void this.lost.push(lost),
    };
    const delivery = new Delivery(
      { ...parts, fromNode: '', kind, correlationId: waiter === undefined ? 0 : 1, content: encoded(content) },
      origin,
    );
    this.deliveries.push(delivery);
    return delivery;
  }
}

/** An agent that does what `receive` says with each delivery: undefined and it has it. */
export function recipient(
  id: string,
  receive: (delivery: Delivery) => ReturnType<Recipient['offer']> = () => undefined,
): Recipient {
  return { id, offer: receive };
}
