import type { Clock } from '../core/clock.js';
import { invalidFields, TroupeError } from '../core/errors.js';
import { topicViolation } from '../core/topic.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { EnvelopeReader } from '../link/envelope-reader.js';
import type { Peer } from '../link/peer.js';
import { Delivery, type Origin, type Recipient } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';
import { encoded } from './local-origin.js';
import { LocalQueue } from './local-queue.js';
import type { MessageCounts } from './message-counts.js';
import type { BroadcastResult, OutgoingMessage } from './outgoing.js';
import { type Pending, PendingMessages } from './pending-messages.js';
import { DeliveredMap, KnownLists, receiptsOf, SubscriberLists, type TopicReceipts } from './receipts.js';
import { hasRare, withDeadline } from './routing-facts.js';
import type { Subscriptions } from './subscriptions.js';

export interface BroadcastsDeps {
  readonly nodeId: string;
  readonly subscriptions: Subscriptions;
  readonly deadLetters: DeadLetterSink;
  readonly counts: MessageCounts;
  readonly clock: Clock;
  readonly peerOf: (nodeId: string) => Peer;
}

/** Messages to topics: one to each process that has subscribers, and there to each of them. */
export class Broadcasts {
  private readonly parts: PendingMessages<Part>;
  private readonly localQueue = new LocalQueue();
  private readonly origin: Origin;
  private readonly lists = new SubscriberLists();
  private readonly known = new KnownLists();

  constructor(private readonly deps: BroadcastsDeps) {
    this.parts = new PendingMessages(deps.clock);
    this.origin = new SubscriberOrigin(deps.deadLetters);
  }

  get underWay(): number {
    return this.parts.size;
  }

  /** @throws INVALID_ARGUMENT: the topic, or the payload. */
  send(message: OutgoingMessage): Promise<BroadcastResult> {
    const { nodeId, subscriptions } = this.deps;
    const wrong = topicViolation('topic', message.topic);
    if (wrong !== undefined) return Promise.reject(invalidFields([wrong]));
    return new Promise((resolve, reject) => {
      const content = encodedOr(message, reject);
      if (content === undefined) return;
      const collector = new Collector(resolve);
      for (const other of subscriptions.nodesFor(message.topic)) {
        if (other !== nodeId) this.sendTo(this.deps.peerOf(other), { ...message, content }, collector);
      }
      if (subscriptions.here(message.topic).length > 0) {
        collector.part();
        this.localQueue.push(() => {
          const parts = { ...message, kind: 'send' as const, content, waitForRoom: false, correlationId: 0, fromNode: '' };
          const recipients = subscriptions.here(message.topic);
          const refused = this.offerAll(new Delivery(parts, this.origin), recipients);
          collector.told(receiptsOf(recipients, message.from, refused));
          collector.done();
        });
      }
      collector.done();
    });
  }

  /** A broadcast from another process: this one has subscribers, or had them a moment ago. */
  arrived(peer: Peer, envelope: EnvelopeReader): void {
    const { correlationId, from, topic } = envelope;
    const recipients = this.deps.subscriptions.here(topic);
    // Its sender is told at once who has it: nobody waits for room.
    envelope.waitForRoom = false;
    const delivery = new Delivery(withDeadline(envelope, this.deps.clock), this.origin);
    const refused = this.offerAll(delivery, recipients);
    if (correlationId === 0) return;
    const { lists } = this;
    peer.answer({
      kind: EnvelopeKind.ENVELOPE_KIND_ACK,
      correlationId,
      from: '',
      to: from,
      topic: '',
      content: undefined,
      deadlineMs: 0,
      sequence: 0,
      rare: {
        encoded: refused === undefined ? lists.allTook(peer, recipients, from) : lists.someTook(recipients, from, refused),
      },
    });
  }

  /** What a process says of a broadcast; false where it speaks of something else. */
  acknowledged(peer: Peer, envelope: EnvelopeReader): boolean {
    if (!envelope.hasReceipts) return false;
    const part = this.parts.take(envelope.correlationId);
    const receipts = this.known.read(peer, envelope);
    if (part === undefined) return true;
    if (receipts === undefined) part.silent();
    else {
      part.collector.told(receipts);
      part.done();
    }
    return true;
  }

  broken(peer: Peer): void {
    this.lists.forget(peer);
    this.known.forget(peer);
    for (const part of this.parts.takeAll((each) => each.peer === peer && !peer.holds(each.frame))) part.silent();
  }

  unsent(peer: Peer): void {
    // Lists may be among what is not sent.
    this.lists.forget(peer);
    for (const part of this.parts.takeAll((each) => each.peer === peer && peer.holds(each.frame))) part.silent();
  }

  close(error: TroupeError): void {
    this.parts.close(error);
  }

  private sendTo(peer: Peer, message: OutgoingMessage, collector: Collector): void {
    const part = new Part(peer, message.deadlineMs, collector);
    const correlationId = this.parts.add(part);
    if (correlationId === 0) {
      part.silent();
      return;
    }
    try {
      part.frame = peer.send({
        kind: EnvelopeKind.ENVELOPE_KIND_SEND,
        correlationId,
        from: message.from,
        to: '',
        topic: message.topic,
        content: message.content,
        deadlineMs: message.deadlineMs,
        sequence: 0,
        rare: hasRare(message) ? message : undefined,
      });
    } catch {
      this.parts.take(correlationId);
      part.silent();
    }
  }

  /** To each of these but the sender. Gives those that did not take it; undefined where all did. */
  private offerAll(delivery: Delivery, recipients: readonly Recipient[]): Set<Recipient> | undefined {
    let refused: Set<Recipient> | undefined;
    let isFirst = true;
    for (const recipient of recipients) {
      if (recipient.id === delivery.from) continue;
      // Each decodes its own: what one does to it, no other sees.
      const answer = recipient.offer(isFirst ? delivery : new Delivery(delivery, this.origin));
      this.deps.counts.offered(delivery, answer);
      isFirst = false;
      if (answer === undefined) continue;
      refused ??= new Set();
      refused.add(recipient);
      if (answer instanceof TroupeError) this.deps.deadLetters.add(delivery, answer, recipient.id);
    }
    return refused;
  }
}

/** What one process has not said yet. */
class Part implements Pending {
  frame = 0;

  constructor(
    readonly peer: Peer,
    readonly deadlineMs: number,
    readonly collector: Collector,
  ) {
    collector.part();
  }

  done(): void {
    this.collector.done();
  }

  expire(): void {
    this.silent();
  }

  silent(): void {
    this.collector.silent(this.peer.nodeId);
    this.done();
  }
}

/** Puts together what processes say of one broadcast. */
class Collector implements BroadcastResult {
  readonly delivered: DeliveredMap;
  readonly silentNodes: string[] = [];
  private left = 1;

  constructor(private readonly resolve: (result: BroadcastResult) => void) {
    this.delivered = new DeliveredMap();
  }

  /** Something more is waited for: what it gives says that it is there. */
  part(): void {
    this.left += 1;
  }

  told(receipts: TopicReceipts): void {
    this.delivered.told(receipts);
  }

  silent(nodeId: string): void {
    this.silentNodes.push(nodeId);
  }

  /** A part is there, or all have been asked for. */
  done(): void {
    this.left -= 1;
    if (this.left === 0) this.resolve(this);
  }
}

/** Nobody waits to hear what a subscriber makes of a broadcast that its mailbox has taken. */
class SubscriberOrigin implements Origin {
  constructor(private readonly deadLetters: DeadLetterSink) {}

  taken(): void {}
  refused(): void {}
  answered(): void {}
  failed(): void {}
  async part(): Promise<void> {}

  lost(delivery: Delivery, error: TroupeError, recipientId: string): void {
    this.deadLetters.add(delivery, error, recipientId);
  }
}

function encodedOr({ content }: OutgoingMessage, reject: (error: unknown) => void) {
  try {
    return encoded(content);
  } catch (error) {
    reject(error);
    return undefined;
  }
}
