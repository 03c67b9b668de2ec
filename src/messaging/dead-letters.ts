import { asBuffer } from '../core/bytes.js';
import type { Clock } from '../core/clock.js';
import type { TroupeError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Payload } from '../core/payload.js';
import { encodePayload } from '../rpc/codec/payload.js';
import type { Delivery } from '../runtime/delivery.js';
import type { DeadLetterSink } from './dead-letter.js';
import type { OutgoingMessage } from './outgoing.js';

/** A message that could not be delivered, and why. */
export interface DeadLetter {
  /** From 1, counting up. */
  readonly number: number;
  /** When it was given up, in milliseconds since the epoch. */
  readonly timeMs: number;
  /** Of the error, such as MAILBOX_FULL. */
  readonly reason: string;
  /** Why, in a sentence. */
  readonly description: string;
  readonly from: string;
  /** Who did not get it. */
  readonly to: string;
  /** '' unless it was broadcast. */
  readonly topic: string;
  /** The sender's own name for it; '' when it gave none. */
  readonly messageId: string;
  /** The encoded troupe.v1.Payload; empty where it was above 64 KiB. */
  readonly payload: Buffer;
  /** What it counts for, among the bytes that are kept. */
  readonly bytes: number;
}

export const MAX_LETTERS = 1_000;
export const MAX_LETTERS_BYTES = 8 * 1024 * 1024;
export const MAX_LETTER_PAYLOAD_BYTES = 64 * 1024;
const MAX_DESCRIPTION_CHARS = 1_024;
const MAX_REASON_CHARS = 63;
const MAX_REASONS = 50;
/** What a letter takes beside its texts and its payload. */
const OVERHEAD_BYTES = 200;

/**
 * The last messages that this process could not deliver: 1,000 of them, 8 MiB together. Older ones go; `total` tells how many there have been.
 * Of a payload above 64 KiB only the size is kept, in the description.
 */
export class DeadLetters implements DeadLetterSink {
  private readonly letters = new Fifo<DeadLetter>();
  /** How many there have been, by reason. */
  readonly byReason = new Map<string, number>();
  private count = 0;
  private bytes = 0;

  constructor(private readonly clock: Clock) {}

  /** Since the process started. */
  get total(): number {
    return this.count;
  }

  /** How many are kept. */
  get size(): number {
    return this.letters.size;
  }

  add({ from, to: given, topic, id, content }: OutgoingMessage | Delivery, error: TroupeError, recipientId = ''): void {
    const { payload, remark } = keep(content);
    const to = recipientId === '' ? given : recipientId;
    const description = `${error.message.slice(0, MAX_DESCRIPTION_CHARS)}${remark}`;
    const reason = error.reason.slice(0, MAX_REASON_CHARS);
    const chars = reason.length + description.length + from.length + to.length + topic.length + id.length;
    const bytes = OVERHEAD_BYTES + payload.length + chars;
    this.count += 1;
    // Reasons may be of an agent's own making.
    const known = this.byReason.has(reason) || this.byReason.size < MAX_REASONS ? reason : 'other';
    this.byReason.set(known, (this.byReason.get(known) ?? 0) + 1);
    this.bytes += bytes;
    const timeMs = this.clock.now();
    this.letters.push({ number: this.count, timeMs, reason, description, from, to, topic, messageId: id, payload, bytes });
    while (this.letters.size > MAX_LETTERS || this.bytes > MAX_LETTERS_BYTES) this.bytes -= this.letters.shift()?.bytes ?? 0;
  }

  /** Those that are kept. */
  *youngestFirst(): Generator<DeadLetter, void, undefined> {
    for (let index = this.letters.size - 1; index >= 0; index--) yield this.letters.at(index) as DeadLetter;
  }
}

const NOTHING = Buffer.alloc(0);

interface Kept {
  readonly payload: Buffer;
  /** What there is to say of what is not kept. */
  readonly remark: string;
}

/** In memory of its own: a part of a frame would keep the whole of it. */
function keep(content: OutgoingMessage['content']): Kept {
  const encoded = 'kind' in content ? encodedOr(content) : content;
  if (encoded === undefined) return { payload: NOTHING, remark: ' (its payload is none)' };
  const { length } = encoded;
  if (length > MAX_LETTER_PAYLOAD_BYTES) return { payload: NOTHING, remark: ` (its payload of ${length} bytes is not kept)` };
  return { payload: asBuffer(new Uint8Array(encoded instanceof Uint8Array ? encoded : encoded.bytes())), remark: '' };
}

/** Undefined for what is no JSON: what has not been sent anywhere was not encoded yet. */
function encodedOr(payload: Payload): Buffer | undefined {
  try {
    return encodePayload(payload);
  } catch {
    return undefined;
  }
}
