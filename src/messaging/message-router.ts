import type { Subscription } from '../agent/messages.js';
import { HELD_OVERHEAD_BYTES } from '../core/bytes.js';
import type { Clock } from '../core/clock.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import { type Random, randomInt } from '../core/random.js';
import { notJoined } from '../discovery/not-joined.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { EnvelopeReader } from '../link/envelope-reader.js';
import type { Links } from '../link/links.js';
import type { Peer } from '../link/peer.js';
import { type Content, Delivery, type Recipient } from '../runtime/delivery.js';
import { Arrivals } from './arrivals.js';
import { Broadcasts } from './broadcasts.js';
import { CarefulSends } from './careful-sends.js';
import type { DeadLetterSink } from './dead-letter.js';
import type { Directory } from './directory.js';
import type { HeldMessages } from './held-messages.js';
import { encoded, LocalOrigin } from './local-origin.js';
import { LocalQueue } from './local-queue.js';
import { MessageCounts } from './message-counts.js';
import type { Messages } from './messages.js';
import { Outbound, type OutboundOwner } from './outbound.js';
import type { BroadcastResult, OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';
import { PendingMessages } from './pending-messages.js';
import { asRefusal, hasRare, isCareful, isGone, tooMany, unknownAgent, unknownOutcome } from './routing-facts.js';
import type { Subscriptions } from './subscriptions.js';

export interface MessageRouterDeps {
  readonly nodeId: string;
  readonly directory: Directory;
  readonly held: HeldMessages;
  readonly subscriptions: Subscriptions;
  readonly deadLetters: DeadLetterSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly links: () => Links;
}

/**
 * Carries messages between agents and clients: to those of this process directly, to all others over the link to their process. Keeps none itself but for
 * a moment, while an agent is between two nodes.
 */
export class MessageRouter implements Messages, OutboundOwner {
  /** What became of what was offered here. */
  readonly counts = new MessageCounts();
  private readonly recipients = new Map<string, Recipient>();
  private readonly pending: PendingMessages<Outbound>;
  private readonly localOrigin: LocalOrigin;
  private readonly localQueue = new LocalQueue();
  private readonly arrivals: Arrivals;
  private readonly broadcasts: Broadcasts;
  private readonly careful: CarefulSends;

  constructor(private readonly deps: MessageRouterDeps) {
    this.pending = new PendingMessages(deps.clock, randomInt(deps.random, 0x10000));
    this.localOrigin = new LocalOrigin(this.pending, deps.deadLetters);
    const { recipients, localOrigin, pending, counts } = this;
    this.arrivals = new Arrivals({ ...deps, recipients, localOrigin, pending, counts });
    const sendOnce = (message: OutgoingMessage, waiter: Waiter) => this.begin('send', message, waiter);
    this.careful = new CarefulSends({ ...deps, sendOnce, mayComeBack: (agentId) => deps.directory.hasLeft(agentId) });
    this.broadcasts = new Broadcasts({ ...deps, counts, peerOf: (id) => deps.links().to(id) });
  }

  get nodeId(): string {
    return this.deps.nodeId;
  }

  /** Messages whose fate is not known yet. */
  get underWay(): number {
    return this.pending.size + this.broadcasts.underWay;
  }

  /** Requests of others that are worked on here. */
  get open(): number {
    return this.arrivals.open;
  }

  attach(recipient: Recipient): () => void {
    this.recipients.set(recipient.id, recipient);
    this.deps.held.release(recipient.id);
    return () => {
      if (this.recipients.get(recipient.id) !== recipient) return;
      this.recipients.delete(recipient.id);
      this.deps.directory.left(recipient.id);
    };
  }

  send(message: OutgoingMessage, waiter: Waiter): PendingMessage {
    return message.waitForRoom || message.atLeastOnce ? this.careful.send(message, waiter) : this.begin('send', message, waiter);
  }

  request(message: OutgoingMessage, waiter: Waiter): PendingMessage {
    return this.begin('request', message, waiter);
  }

  broadcast(message: OutgoingMessage): Promise<BroadcastResult> {
    return this.deps.directory.knowsCluster ? this.broadcasts.send(message) : Promise.reject(notJoined());
  }

  subscribe(pattern: string, recipient: Recipient): Promise<Subscription> {
    return this.deps.subscriptions.add(pattern, recipient);
  }

  /** An agent has come to a node: what waited for it goes there. */
  found(agentId: string): void {
    this.deps.held.release(agentId);
  }

  close(error: TroupeError): void {
    this.deps.held.close();
    this.pending.close(error);
    this.broadcasts.close(error);
  }

  // What becomes of what was sent.

  abandon(outbound: Outbound, error: TroupeError): void {
    const { id, kind, peer, delivery } = outbound;
    this.pending.take(id);
    if (kind !== 'request') return;
    delivery?.cancel(error);
    peer?.tell(aboutRequest(EnvelopeKind.ENVELOPE_KIND_CANCEL, outbound, undefined));
  }

  demand(outbound: Outbound, parts: number): void {
    outbound.delivery?.gate?.add(parts);
    outbound.peer?.answer(aboutRequest(EnvelopeKind.ENVELOPE_KIND_DEMAND, outbound, { demand: parts }));
  }

  // What comes over links.

  receive(peer: Peer, envelope: EnvelopeReader): void {
    switch (envelope.code) {
      case EnvelopeKind.ENVELOPE_KIND_REQUEST:
        this.arrivals.arrived(peer, envelope);
        return;
      case EnvelopeKind.ENVELOPE_KIND_RESPONSE: {
        const outbound = this.settled(envelope);
        if (outbound === undefined) return;
        this.learn(outbound, peer);
        outbound.answered(envelope.content, envelope.from);
        return;
      }
      case EnvelopeKind.ENVELOPE_KIND_SEND:
        if (envelope.topic !== '') this.broadcasts.arrived(peer, envelope);
        else this.arrivals.arrived(peer, envelope);
        return;
      case EnvelopeKind.ENVELOPE_KIND_ACK:
        this.acknowledged(peer, envelope);
        return;
      case EnvelopeKind.ENVELOPE_KIND_ERROR:
        this.settled(envelope)?.failed(envelope.error() ?? noReason());
        return;
      case EnvelopeKind.ENVELOPE_KIND_CHUNK:
        this.partArrived(peer, envelope);
        return;
      case EnvelopeKind.ENVELOPE_KIND_CANCEL:
      case EnvelopeKind.ENVELOPE_KIND_DEMAND:
        this.arrivals.aboutRequest(peer, envelope);
        return;
      default:
      // Of a newer version: nobody here knows what to do with it.
    }
  }

  /** A link broke: what was written on it has an unknown fate. */
  broken(peer: Peer): void {
    const outcome = unknownOutcome(peer.nodeId);
    for (const outbound of this.pending.takeAll((each) => each.peer === peer && !peer.holds(each.frame)))
      outbound.failed(outcome);
    this.broadcasts.broken(peer);
    this.arrivals.broken(peer);
  }

  /** What waits for a link will not be sent. */
  unsent(peer: Peer, error: TroupeError): void {
    for (const outbound of this.pending.takeAll((each) => each.peer === peer && peer.holds(each.frame)))
      this.fail(outbound, error);
    this.broadcasts.unsent(peer);
    this.arrivals.unsent(peer, error);
  }

  private begin(kind: 'send' | 'request', message: OutgoingMessage, waiter: Waiter): PendingMessage {
    const outbound = new Outbound(this, kind, message, waiter);
    if (message.deadlineMs <= this.deps.clock.now()) {
      outbound.failed(deadlineExceeded());
      return outbound;
    }
    outbound.id = this.pending.add(outbound);
    if (outbound.id === 0) outbound.failed(tooMany());
    else if (this.deps.held.has(message.to)) this.hold(outbound);
    else this.route(outbound);
    return outbound;
  }

  private route(outbound: Outbound): void {
    const { to } = outbound.message;
    const recipient = this.recipients.get(to);
    if (recipient !== undefined) {
      this.deliverHere(outbound);
      return;
    }
    const nodeId = this.deps.directory.find(to);
    if (nodeId === undefined || nodeId === this.nodeId) {
      this.hold(outbound);
      return;
    }
    this.sendTo(this.deps.links().to(nodeId), outbound);
  }

  private sendTo(peer: Peer, outbound: Outbound): void {
    const { kind, message, id } = outbound;
    outbound.peer = peer;
    try {
      outbound.frame = peer.send({
        kind: kind === 'send' ? EnvelopeKind.ENVELOPE_KIND_SEND : EnvelopeKind.ENVELOPE_KIND_REQUEST,
        correlationId: id,
        from: message.from,
        to: message.to,
        topic: '',
        content: message.content,
        deadlineMs: message.deadlineMs,
        sequence: 0,
        rare: hasRare(message) ? message : undefined,
      });
    } catch (error) {
      this.pending.take(id);
      if (error instanceof TroupeError && error.code === 'UNAVAILABLE') this.fail(outbound, error);
      else outbound.failed(asRefusal(error));
    }
  }

  /** To somebody in this process: in a turn of its own, since the receiver may send in turn. */
  private deliverHere(outbound: Outbound): void {
    const { message } = outbound;
    let content: Content;
    try {
      content = encoded(message.content);
    } catch (error) {
      this.pending.take(outbound.id);
      outbound.failed(asRefusal(error));
      return;
    }
    this.localQueue.push(() => this.offerHere(outbound, content));
  }

  private offerHere(outbound: Outbound, content: Content): void {
    if (outbound.hasEnded) return;
    const { kind, message, id } = outbound;
    const recipient = this.recipients.get(message.to);
    // Meanwhile it has gone, or something that was sent before waits for it.
    if (recipient === undefined || this.deps.held.has(message.to)) {
      outbound.message = { ...message, content };
      if (this.deps.held.has(message.to)) this.hold(outbound);
      else this.route(outbound);
      return;
    }
    const waitForRoom = message.waitForRoom && !message.atLeastOnce;
    const delivery = new Delivery({ ...message, kind, content, waitForRoom, correlationId: id, fromNode: '' }, this.localOrigin);
    outbound.delivery = delivery;
    const answer = this.arrivals.offer(delivery, recipient, message);
    if (answer === undefined) {
      if (kind === 'send') this.localOrigin.taken(delivery);
    } else if (answer !== 'parked') {
      if (isGone(answer)) {
        outbound.message = { ...message, content };
        // It ends here, or has not begun; another process may have it already.
        const nodeId = this.deps.directory.find(message.to);
        if (nodeId === undefined || nodeId === this.nodeId) this.hold(outbound);
        else this.sendTo(this.deps.links().to(nodeId), outbound);
      } else this.localOrigin.refused(delivery, answer);
    }
  }

  /** An agent that nobody has now: it may be on its way to another node. */
  private hold(outbound: Outbound): void {
    const { id, message } = outbound;
    const ms = this.deps.directory.awayForMs(message.to);
    const giveUp = () => {
      this.pending.take(id);
      this.fail(outbound, this.deps.directory.knowsCluster ? unknownAgent(message.to) : notJoined());
    };
    if (ms === 0) {
      giveUp();
      return;
    }
    let content: Content;
    try {
      content = encoded(message.content);
    } catch (error) {
      this.pending.take(id);
      outbound.failed(asRefusal(error));
      return;
    }
    outbound.message = { ...message, content };
    const held = {
      bytes: HELD_OVERHEAD_BYTES + content.length,
      go: () => {
        if (!outbound.hasEnded) this.route(outbound);
      },
      giveUp: () => {
        if (!outbound.hasEnded) giveUp();
      },
    };
    if (!this.deps.held.hold(message.to, held, ms)) giveUp();
  }

  /** It was not delivered, and its sender is told; who only sends may not be there any more. */
  private fail(outbound: Outbound, error: TroupeError): void {
    const { kind, message } = outbound;
    if (kind === 'send' && !outbound.hasEnded && !isCareful(message)) this.deps.deadLetters.add(message, error);
    outbound.failed(error);
  }

  private partArrived(peer: Peer, envelope: EnvelopeReader): void {
    const outbound = this.pending.get(envelope.correlationId);
    if (outbound === undefined) return;
    if (outbound.peer !== peer) {
      // The agent has moved: what is wanted of it goes there.
      outbound.peer = peer;
      outbound.frame = 0;
    }
    outbound.part(envelope.sequence, envelope.content);
  }

  private acknowledged(peer: Peer, envelope: EnvelopeReader): void {
    if (this.broadcasts.acknowledged(peer, envelope)) return;
    const outbound = this.settled(envelope);
    if (outbound === undefined) return;
    const error = envelope.error();
    if (error !== undefined) {
      outbound.failed(error);
      return;
    }
    this.learn(outbound, peer);
    outbound.answered(undefined, envelope.from);
  }

  /** What an answer is about: no longer pending. An answer to an earlier life of this process may have the id of something else. */
  private settled({ correlationId, from }: EnvelopeReader): Outbound | undefined {
    return this.pending.get(correlationId)?.message.to === from ? this.pending.take(correlationId) : undefined;
  }

  private learn({ peer, message }: Outbound, answering: Peer): void {
    if (peer !== answering) this.deps.directory.learn(message.to, answering.nodeId);
  }
}

/** Something about a request that was sent. */
function aboutRequest(kind: EnvelopeKind, { id, message }: Outbound, rare: { readonly demand: number } | undefined) {
  const { from, to } = message;
  return { kind, correlationId: id, from, to, topic: '', content: undefined, deadlineMs: 0, sequence: 0, rare };
}

function noReason(): TroupeError {
  return new TroupeError('UNKNOWN', 'UNKNOWN', 'the answer is an error without a reason');
}
