import { HELD_OVERHEAD_BYTES } from '../core/bytes.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { EnvelopeReader } from '../link/envelope-reader.js';
import type { Links } from '../link/links.js';
import type { Peer } from '../link/peer.js';
import { Delivery, type DeliveryParts, type Recipient } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';
import type { Directory } from './directory.js';
import { type ForwardedMessage, forwardOf, MAX_HOPS } from './forward.js';
import { Forwards } from './forwards.js';
import type { HeldMessages } from './held-messages.js';
import type { LocalOrigin } from './local-origin.js';
import type { MessageCounts } from './message-counts.js';
import type { Outbound } from './outbound.js';
import { PeerOrigin } from './peer-origin.js';
import type { PendingMessages } from './pending-messages.js';
import { RecentMessages } from './recent-messages.js';
import { asRefusal, type Careful, isCareful, isGone, unknownAgent, withDeadline } from './routing-facts.js';

export interface ArrivalsDeps {
  readonly nodeId: string;
  /** Who is in this process, by id. */
  readonly recipients: ReadonlyMap<string, Recipient>;
  readonly localOrigin: LocalOrigin;
  /** What this process sent, and waits for. */
  readonly pending: PendingMessages<Outbound>;
  readonly directory: Directory;
  readonly held: HeldMessages;
  readonly deadLetters: DeadLetterSink;
  readonly counts: MessageCounts;
  readonly clock: Clock;
  readonly links: () => Links;
}

/** Messages that come over links: handed to those of this process, and passed on where the agent has moved. */
export class Arrivals {
  private readonly origins = new Map<Peer, PeerOrigin>();
  private readonly recent: RecentMessages;
  private readonly forwards = new Forwards();

  constructor(private readonly deps: ArrivalsDeps) {
    this.recent = new RecentMessages(deps.clock);
  }

  /** Requests of other processes that are not answered yet. */
  get open(): number {
    let open = 0;
    for (const origin of this.origins.values()) open += origin.size;
    return open;
  }

  /** A link broke: who sent over it waits for nothing any more. */
  broken(peer: Peer): void {
    this.forwards.broken(peer);
    const origin = this.origins.get(peer);
    this.origins.delete(peer);
    origin?.close(new TroupeError('CANCELLED', 'CONNECTION_LOST', `the link to "${peer.nodeId}" broke`));
  }

  /** What waits for a link will not be sent. */
  unsent(peer: Peer, error: TroupeError): void {
    for (const forwarded of this.forwards.unsent(peer)) forwarded.refuse(error);
  }

  /** A message for somebody who is here, or was a moment ago. */
  arrived(peer: Peer, envelope: EnvelopeReader): void {
    withDeadline(envelope, this.deps.clock);
    const recipient = this.deps.recipients.get(envelope.to);
    // What waits for the agent already goes first.
    if (recipient !== undefined && !this.deps.held.has(envelope.to)) {
      if (envelope.atLeastOnce) envelope.waitForRoom = false;
      if (this.give(envelope, envelope, this.senderOf(peer, envelope.fromNode), recipient)) return;
    }
    this.forward(peer, envelope);
  }

  /** False: the recipient is not here any more. */
  private give(parts: DeliveryParts, { atLeastOnce }: Careful, sender: Peer | undefined, recipient: Recipient): boolean {
    const origin = sender === undefined ? this.deps.localOrigin : this.originOf(sender);
    const delivery = new Delivery(parts, origin);
    const answer = this.offer(delivery, recipient, { waitForRoom: parts.waitForRoom, atLeastOnce });
    if (answer === undefined) {
      if (delivery.kind === 'send') origin.taken(delivery);
      else if (!delivery.isDone) this.keep(delivery, origin);
    } else if (answer !== 'parked') {
      if (isGone(answer)) return false;
      origin.refused(delivery, answer);
    }
    return true;
  }

  /** A request that is worked on: it can be called off. */
  private keep(delivery: Delivery, origin: PeerOrigin | LocalOrigin): void {
    if (origin instanceof PeerOrigin) {
      origin.keep(delivery);
      return;
    }
    // It was sent from here, and came back.
    const outbound = this.deps.pending.get(delivery.correlationId);
    if (outbound === undefined) return;
    outbound.delivery = delivery;
    outbound.peer = undefined;
  }

  /** Offers a message to somebody of this process, once where it is sent until it is acknowledged. */
  offer(delivery: Delivery, recipient: Recipient, careful: Careful): ReturnType<Recipient['offer']> {
    delivery.isCareful = isCareful(careful);
    const isOnce = careful.atLeastOnce && delivery.kind === 'send';
    if (isOnce && this.recent.has(delivery)) return undefined;
    const answer = recipient.offer(delivery);
    this.deps.counts.offered(delivery, answer);
    if (isOnce && answer === undefined) this.recent.add(delivery);
    // It may be on its way to another node, or not have begun yet.
    if (answer instanceof TroupeError && isGone(answer) && this.deps.directory.awayForMs(delivery.to) === 0)
      this.deps.directory.left(delivery.to);
    return answer;
  }

  /** The process that waits for what becomes of a message; undefined: this one. */
  private senderOf(peer: Peer, fromNode: string): Peer | undefined {
    if (fromNode === '' || fromNode === peer.nodeId) return peer;
    return fromNode === this.deps.nodeId ? undefined : this.deps.links().to(fromNode);
  }

  /** For an agent that is not here, or not here any more: it goes where it is now. */
  private forward(peer: Peer, envelope: EnvelopeReader): void {
    const message = forwardOf(envelope, peer.nodeId, this.deps.nodeId);
    const { to } = message;
    const sender = this.senderOf(peer, message.fromNode);
    const origin = sender === undefined ? this.deps.localOrigin : this.originOf(sender);
    const refuse = (error: TroupeError) => {
      const delivery = new Delivery({ ...message, waitForRoom: false, demand: 0 }, origin);
      delivery.isCareful = isCareful(message);
      origin.refused(delivery, error);
    };
    /** False: nobody knows where the agent is now. */
    const go = (): boolean => {
      const recipient = this.deps.recipients.get(to);
      if (recipient !== undefined) {
        const waitForRoom = message.waitForRoom && !message.atLeastOnce;
        if (this.give({ ...message, waitForRoom }, message, sender, recipient)) return true;
      }
      const nodeId = this.deps.directory.find(to);
      if (nodeId === undefined || nodeId === this.deps.nodeId) return false;
      const cycle = message.cycle(nodeId);
      if (cycle !== undefined) refuse(cycle);
      else this.passOn(nodeId, message, refuse);
      return true;
    };
    const hold = () => {
      const ms = this.deps.directory.awayForMs(to);
      const held = {
        bytes: HELD_OVERHEAD_BYTES + message.content.length,
        go: () => {
          if (!go()) hold();
        },
        giveUp: () => refuse(unknownAgent(to)),
      };
      if (ms > 0) message.content.retain();
      if (ms === 0 || !this.deps.held.hold(to, held, ms)) held.giveUp();
    };
    if (this.deps.held.has(to) || !go()) hold();
  }

  private passOn(nodeId: string, message: ForwardedMessage, refuse: (error: TroupeError) => void): void {
    const peer = this.deps.links().to(nodeId);
    try {
      this.forwards.add({ peer, frame: peer.send(message.envelope()), refuse });
    } catch (error) {
      refuse(asRefusal(error));
    }
  }

  /** That a request is called off, or that more of its answer is wanted. */
  aboutRequest(peer: Peer, envelope: EnvelopeReader): void {
    const { code, correlationId, from, to, demand, hops, fromNode } = envelope;
    const sender = this.senderOf(peer, fromNode);
    if (sender === undefined) return;
    const delivery = this.origins.get(sender)?.find(correlationId);
    if (delivery !== undefined) {
      if (code === EnvelopeKind.ENVELOPE_KIND_DEMAND) delivery.gate?.add(demand);
      else delivery.cancel(new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled'));
      return;
    }
    // Its agent has moved, and so has the request.
    const nodeId = this.deps.recipients.has(to) ? undefined : this.deps.directory.find(to);
    if (nodeId === undefined || nodeId === this.deps.nodeId || hops >= MAX_HOPS) return;
    const rare = { demand, hops: hops + 1, fromNode: sender.nodeId };
    this.deps
      .links()
      .to(nodeId)
      .tell({ kind: code, correlationId, from, to, topic: '', content: undefined, deadlineMs: 0, sequence: 0, rare });
  }

  private originOf(peer: Peer): PeerOrigin {
    let origin = this.origins.get(peer);
    if (origin === undefined) {
      origin = new PeerOrigin(peer, this.deps.deadLetters);
      this.origins.set(peer, origin);
    }
    return origin;
  }
}
