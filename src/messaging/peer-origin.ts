import { TroupeError } from '../core/errors.js';
import type { Payload } from '../core/payload.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { RareFields } from '../link/envelope-writer.js';
import type { Peer } from '../link/peer.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { toStatusMessage } from '../rpc/status.js';
import type { Delivery, Origin } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';

/** Messages of another process, sent here by it or by one that they were with before: what became of them goes there. */
export class PeerOrigin implements Origin {
  /** Requests that are not answered yet, by the correlation id that they came with. */
  private readonly open = new Map<number, Delivery>();
  private isClosed = false;

  constructor(
    private readonly peer: Peer,
    private readonly deadLetters: DeadLetterSink,
  ) {}

  /** Requests that are not answered yet. */
  get size(): number {
    return this.open.size;
  }

  /** A request is not over yet: it can be called off. */
  keep(delivery: Delivery): void {
    if (!delivery.isDone) this.open.set(delivery.correlationId, delivery);
  }

  find(correlationId: number): Delivery | undefined {
    return this.open.get(correlationId);
  }

  /**
   * The link broke. Nobody waits any more for what came over it, and what becomes of that is not told: another life of the process may have given
   * the same correlation id to something else. What came by another process is still waited for.
   */
  close(error: TroupeError): void {
    this.isClosed = true;
    const called = [...this.open.values()].filter(({ fromNode }) => fromNode === '');
    this.open.clear();
    for (const delivery of called) delivery.cancel(error);
  }

  taken(delivery: Delivery): void {
    if (delivery.correlationId !== 0) this.say(delivery, EnvelopeKind.ENVELOPE_KIND_ACK, undefined, 0, undefined);
  }

  refused(delivery: Delivery, error: TroupeError): void {
    if (delivery.kind === 'request') {
      this.failed(delivery, error);
      return;
    }
    if (!delivery.isCareful) this.deadLetters.add(delivery, error);
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
    // Without a pause where it may go: an author who does not wait for it loses none.
    if (delivery.gate?.tryPass() === false) await delivery.gate.pass();
    if (delivery.isDone || delivery.cancelled !== undefined || !this.isHeard(delivery)) return;
    const content = { decode: () => part, bytes: () => bytes, retain: () => undefined, length: bytes.length };
    const isSent = this.peer.tell({
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
    // An answer with a gap would be a wrong one.
    if (!isSent) throw new TroupeError('RESOURCE_EXHAUSTED', 'LINK_FULL', `node "${this.peer.nodeId}" does not read`);
  }

  lost(delivery: Delivery, error: TroupeError, recipientId: string): void {
    this.deadLetters.add(delivery, error, recipientId);
  }

  private done(delivery: Delivery): void {
    delivery.isDone = true;
    if (this.open.size > 0 && this.open.get(delivery.correlationId) === delivery) this.open.delete(delivery.correlationId);
  }

  private say(
    delivery: Delivery,
    kind: EnvelopeKind,
    content: Payload | undefined,
    sequence: number,
    rare: RareFields | undefined,
  ): void {
    if (!this.isHeard(delivery)) return;
    const { correlationId, from, to } = delivery;
    this.peer.answer({ kind, correlationId, from: to, to: from, topic: '', content, deadlineMs: 0, sequence, rare });
  }

  /** Whether somebody may still wait for what becomes of it. */
  private isHeard({ fromNode }: Delivery): boolean {
    return !this.isClosed || fromNode !== '';
  }
}
