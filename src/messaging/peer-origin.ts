import type { TroupeError } from '../core/errors.js';
import type { Payload } from '../core/payload.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { OutgoingEnvelope, RareFields } from '../link/envelope-writer.js';
import type { Peer } from '../link/peer.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { toStatusMessage } from '../rpc/status.js';
import type { Delivery, Origin } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';

/** Messages that another process sent here: what became of them goes back there, or to the process that they came from before that. */
export class PeerOrigin implements Origin {
  /** Requests that are not answered yet, by the process and correlation id that they came with. */
  private readonly open = new Map<string | number, Delivery>();

  constructor(
    private readonly peer: Peer,
    private readonly peerOf: (nodeId: string) => Peer,
    private readonly deadLetters: DeadLetterSink,
  ) {}

  /** A request is not over yet: it can be called off. */
  keep(delivery: Delivery): void {
    if (!delivery.isDone) this.open.set(keyOf(delivery.fromNode, delivery.correlationId), delivery);
  }

  find(fromNode: string, correlationId: number): Delivery | undefined {
    return this.open.get(keyOf(fromNode, correlationId));
  }

  /** The peer is gone: nobody waits. */
  callOffAll(error: TroupeError): void {
    for (const delivery of this.open.values()) delivery.cancel(error);
    this.open.clear();
  }

  taken(delivery: Delivery): void {
    if (delivery.correlationId !== 0) this.say(delivery, EnvelopeKind.ENVELOPE_KIND_ACK, undefined, 0, undefined);
  }

  refused(delivery: Delivery, error: TroupeError): void {
    if (delivery.kind === 'request') {
      this.failed(delivery, error);
      return;
    }
    this.deadLetters.add(delivery, error);
    if (delivery.correlationId !== 0)
      this.say(delivery, EnvelopeKind.ENVELOPE_KIND_ACK, undefined, 0, { error: toStatusMessage(error) });
  }

  answered(delivery: Delivery, answer: Payload): void {
    this.say(delivery, EnvelopeKind.ENVELOPE_KIND_RESPONSE, answer, 0, undefined);
    this.done(delivery);
  }

  failed(delivery: Delivery, error: TroupeError): void {
    this.done(delivery);
    if (delivery.cancelled === undefined)
      this.say(delivery, EnvelopeKind.ENVELOPE_KIND_ERROR, undefined, 0, { error: toStatusMessage(error) });
  }

  async part(delivery: Delivery, sequence: number, part: Payload): Promise<void> {
    // Encoded now: what it throws is thrown at the author, and what the author changes later does not travel.
    const bytes = encodePayload(part);
    await delivery.gate?.pass();
    if (delivery.isDone || delivery.cancelled !== undefined) return;
    const content = { decode: () => part, bytes: () => bytes, retain: () => undefined, length: bytes.length };
    this.send(delivery, {
      kind: EnvelopeKind.ENVELOPE_KIND_CHUNK,
      correlationId: delivery.correlationId,
      from: delivery.to,
      to: delivery.from,
      topic: '',
      content,
      deadlineMs: 0,
      sequence,
      rare: undefined,
    });
  }

  lost(delivery: Delivery, error: TroupeError, recipientId: string): void {
    this.deadLetters.add(delivery, error, recipientId);
  }

  private done(delivery: Delivery): void {
    delivery.isDone = true;
    if (this.open.size > 0) this.open.delete(keyOf(delivery.fromNode, delivery.correlationId));
  }

  private say(
    delivery: Delivery,
    kind: EnvelopeKind,
    content: Payload | undefined,
    sequence: number,
    rare: RareFields | undefined,
  ): void {
    const { correlationId, from, to } = delivery;
    const envelope = { kind, correlationId, from: to, to: from, topic: '', content, deadlineMs: 0, sequence, rare };
    this.send(delivery, envelope);
  }

  private send({ fromNode }: Delivery, envelope: OutgoingEnvelope): void {
    const peer = fromNode === '' ? this.peer : this.peerOf(fromNode);
    peer.answer(envelope);
  }
}

function keyOf(fromNode: string, correlationId: number): string | number {
  return fromNode === '' ? correlationId : `${fromNode}/${correlationId}`;
}
