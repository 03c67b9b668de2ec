import type { TroupeError } from '../core/errors.js';
import { MAX_PAYLOAD_BYTES, type Payload, payloadTooLarge } from '../core/payload.js';
import { FrameContent } from '../link/frame-content.js';
import { encodePayload } from '../rpc/codec/payload.js';
import type { Content, Delivery, Origin } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';
import type { Outbound } from './outbound.js';
import type { PendingMessages } from './pending-messages.js';

/** Messages between two of this process: encoded all the same, so that neither can change what the other has. */
export class LocalOrigin implements Origin {
  constructor(
    private readonly pending: PendingMessages<Outbound>,
    private readonly deadLetters: DeadLetterSink,
  ) {}

  taken({ correlationId, to }: Delivery): void {
    this.pending.take(correlationId)?.answered(undefined, to);
  }

  refused(delivery: Delivery, error: TroupeError): void {
    if (delivery.kind === 'send' && !delivery.isCareful) this.deadLetters.add(delivery, error);
    this.pending.take(delivery.correlationId)?.failed(error);
  }

  answered(delivery: Delivery, answer: Payload): void {
    const content = encoded(answer);
    delivery.isDone = true;
    this.pending.take(delivery.correlationId)?.answered(content, delivery.to);
  }

  failed(delivery: Delivery, error: TroupeError): void {
    delivery.isDone = true;
    this.pending.take(delivery.correlationId)?.failed(error);
  }

  async part(delivery: Delivery, sequence: number, part: Payload): Promise<void> {
    const content = encoded(part);
    if (delivery.gate?.tryPass() === false) await delivery.gate.pass();
    if (!delivery.isDone) this.pending.get(delivery.correlationId)?.part(sequence, content);
  }

  lost(delivery: Delivery, error: TroupeError, recipientId: string): void {
    this.deadLetters.add(delivery, error, recipientId);
  }
}

/** Content in memory of its own. @throws INVALID_ARGUMENT: it is no JSON, or too large. */
export function encoded(content: Payload | Content): FrameContent {
  if (content instanceof FrameContent) {
    if (content.length > MAX_PAYLOAD_BYTES) throw payloadTooLarge(content.length);
    content.retain();
    return content;
  }
  const bytes = 'kind' in content ? encodePayload(content) : Buffer.from(content.bytes());
  if (bytes.length > MAX_PAYLOAD_BYTES) throw payloadTooLarge(bytes.length);
  return new FrameContent(bytes, 0, bytes.length, true);
}
