import { Fifo } from '../core/fifo.js';
import { isLargerThan } from './content-size.js';
import { EnvelopeWriter, type OutgoingEnvelope, type Target } from './envelope-writer.js';
import { type FramePool, LARGE_BUFFER_BYTES } from './frame-pool.js';
import { varintSize, writeVarint } from './varint.js';

/** Of one frame of small envelopes: with more, both ends take turns instead of overlapping. */
const FRAME_BYTES = 24 * 1024;
/** Of one frame of larger envelopes. */
const LARGE_FRAME_BYTES = 64 * 1024;
/** Envelopes that are larger on average make larger frames. */
const SMALL_ENVELOPE_BYTES = 1024;
/** What is larger goes in parts, and others go between them. */
const PART_BYTES = 64 * 1024;

const ENVELOPE = 0x3a;
const TASK = 0x42;
const OUTCOME = 0x4a;
const PART = 0x32;
const PART_ID = 0x08;
const PART_DATA = 0x12;
const PART_LAST = 0x18;

/** What goes into one write. */
export interface OutgoingFrame {
  readonly bytes: Buffer;
  /** The last frame, by the numbers that were given for what was queued, that is complete with this. */
  readonly number: number;
  /** How many envelopes are complete with this. */
  readonly envelopes: number;
}

interface Large {
  readonly number: number;
  readonly id: number;
  readonly bytes: Buffer;
  sent: number;
  /** The frame that it follows: there may be something of its pair in it. */
  readonly after: number;
  /** The pair whose later envelopes must not pass it; '' where that is no matter. */
  readonly pair: string;
}

/**
 * What waits to be written to one peer: small envelopes in the frame that is being filled, complete frames, and large ones that go in parts between
 * them. Keeps the order between each two that talk. Bounded in bytes by its user, who looks at `bytes`.
 */
export class FrameQueue implements Target {
  /** Written into the open frame. */
  length = 0;
  /** The open frame; none is held where nothing is in it. */
  private buffer: Buffer = NO_BUFFER;
  private count = 0;
  private number = 1;
  private handedOut = 0;
  private readonly sealed = new Fifo<OutgoingFrame>();
  private sealedBytes = 0;
  private readonly large = new Fifo<Large>();
  private largeBytes = 0;
  private readonly pairs = new Map<string, number>();
  private lastLargeId = 0;
  private turn: 'small' | 'large' = 'small';
  /** The last frame was of larger envelopes: the next one begins with a large buffer. */
  private isLarge = false;
  /** The buffer of the frame that was handed out last, until it has been written. */
  private writing: Buffer | undefined;
  private readonly writer = new EnvelopeWriter();
  private readonly aside: Aside = new Aside();

  constructor(private readonly pool: FramePool) {}

  get isEmpty(): boolean {
    return this.length === 0 && this.sealed.size === 0 && this.large.size === 0;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.length + this.sealedBytes + this.largeBytes;
  }

  /** Queues an envelope, and gives the number of the frame that it is in. */
  envelope(envelope: OutgoingEnvelope): number {
    if (isLargerThan(PART_BYTES, envelope.content) || (this.pairs.size > 0 && this.pairs.has(pairOf(envelope)))) {
      const { aside } = this;
      aside.length = 0;
      this.writer.write(aside, ENVELOPE, envelope);
      return this.pushLarge(aside.copy(), pairOf(envelope));
    }
    this.writer.write(this, ENVELOPE, envelope);
    return this.added();
  }

  /** Queues an encoded task, or something about it. What is said about task `id` keeps its order. */
  task(id: number, bytes: Buffer): number {
    return this.message(TASK, id, bytes);
  }

  /** Queues what became of a task, encoded. What is said about task `id` keeps its order. */
  outcome(id: number, bytes: Buffer): number {
    return this.message(OUTCOME, id, bytes);
  }

  /** The next frame to write; undefined where nothing waits. */
  next(): OutgoingFrame | undefined {
    const large = this.large.at(0);
    const isLargeTurn = large !== undefined && this.turn === 'large' && large.after <= this.handedOut;
    this.turn = isLargeTurn ? 'small' : 'large';
    return isLargeTurn ? this.nextPart(large) : (this.nextSmall() ?? (large && this.nextPart(large)));
  }

  /** The frame that was handed out last has been written: its buffer may be used again. */
  written(): void {
    if (this.writing !== undefined) this.pool.give(this.writing);
    this.writing = undefined;
  }

  /** Whether what is in frame `number` has not been handed out, or not all of it. */
  holds(number: number): boolean {
    // Numbers are given, and frames handed out, in order.
    if (number >= 0) return number > this.handedOut && (number < this.number || (number === this.number && this.length > 0));
    const oldest = this.large.at(0);
    return oldest !== undefined && number <= oldest.number;
  }

  /** Parts that were written are lost: their frame begins anew. What was being written may still be read by whoever wrote it. */
  restart(): void {
    this.writing = undefined;
    const oldest = this.large.at(0);
    if (oldest !== undefined) oldest.sent = 0;
  }

  /** Forgets everything. */
  clear(): void {
    if (this.buffer !== NO_BUFFER) this.pool.give(this.buffer);
    this.buffer = NO_BUFFER;
    this.length = 0;
    this.count = 0;
    // As if it had been handed out.
    this.handedOut = this.number;
    this.number += 1;
    for (const { bytes } of this.sealed.clear()) this.pool.give(bytes);
    this.sealedBytes = 0;
    this.large.clear();
    this.largeBytes = 0;
    this.pairs.clear();
  }

  room(bytes: number): Buffer {
    const { buffer, length } = this;
    if (length + bytes <= buffer.length) return buffer;
    const larger = this.pool.take(this.isLarge ? Math.max(length + bytes, LARGE_BUFFER_BYTES) : length + bytes);
    if (length > 0) buffer.copy(larger, 0, 0, length);
    if (buffer !== NO_BUFFER) this.pool.give(buffer);
    this.buffer = larger;
    return larger;
  }

  private message(tag: number, id: number, bytes: Buffer): number {
    if (bytes.length > PART_BYTES || (this.pairs.size > 0 && this.pairs.has(taskPair(tag, id)))) {
      const { aside } = this;
      aside.length = 0;
      put(aside, tag, bytes);
      return this.pushLarge(aside.copy(), taskPair(tag, id));
    }
    put(this, tag, bytes);
    return this.added();
  }

  private added(): number {
    const { number } = this;
    this.count += 1;
    const most = this.length > this.count * SMALL_ENVELOPE_BYTES ? LARGE_FRAME_BYTES : FRAME_BYTES;
    if (this.length >= most) this.seal();
    return number;
  }

  private seal(): void {
    const bytes = this.buffer.subarray(0, this.length);
    this.sealed.push({ bytes, number: this.number, envelopes: this.count });
    this.sealedBytes += bytes.length;
    this.number += 1;
    this.length = 0;
    this.count = 0;
    this.isLarge = bytes.length > FRAME_BYTES * 2;
    this.buffer = NO_BUFFER;
  }

  private pushLarge(bytes: Buffer, pair: string): number {
    // Large frames have numbers of their own, so that the open frame keeps its.
    const number = -++this.lastLargeId;
    this.large.push({
      number,
      id: this.lastLargeId % 0xffff_ffff,
      bytes,
      sent: 0,
      pair,
      after: this.length > 0 ? this.number : this.number - 1,
    });
    this.largeBytes += bytes.length;
    if (pair !== '') this.pairs.set(pair, (this.pairs.get(pair) ?? 0) + 1);
    return number;
  }

  private nextSmall(): OutgoingFrame | undefined {
    if (this.sealed.size === 0 && this.length > 0) this.seal();
    const frame = this.sealed.shift();
    if (frame === undefined) return undefined;
    this.sealedBytes -= frame.bytes.length;
    this.handedOut = frame.number;
    this.writing = frame.bytes;
    return frame;
  }

  private nextPart(frame: Large): OutgoingFrame {
    const end = Math.min(frame.sent + PART_BYTES, frame.bytes.length);
    const isLast = end === frame.bytes.length;
    // What follows a large envelope of the same pair may be small: it goes as it is.
    const bytes = frame.sent === 0 && isLast ? frame.bytes : encodePart(frame.id, frame.bytes.subarray(frame.sent, end), isLast);
    frame.sent = end;
    if (!isLast) return { bytes, number: 0, envelopes: 0 };
    this.large.shift();
    this.largeBytes -= frame.bytes.length;
    const count = (this.pairs.get(frame.pair) ?? 1) - 1;
    if (count === 0) this.pairs.delete(frame.pair);
    else this.pairs.set(frame.pair, count);
    return { bytes, number: frame.number, envelopes: 1 };
  }
}

const NO_BUFFER = Buffer.alloc(0);

/** A buffer for one message. */
class Aside implements Target {
  length = 0;
  private buffer: Buffer = Buffer.alloc(0);

  room(bytes: number): Buffer {
    if (this.length + bytes > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(this.length + bytes);
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    return this.buffer;
  }

  /** What was written; the buffer is given away. */
  copy(): Buffer {
    const bytes = this.buffer.subarray(0, this.length);
    this.buffer = Buffer.alloc(0);
    return bytes;
  }
}

function pairOf({ from, to }: OutgoingEnvelope): string {
  return `${from}>${to}`;
}

/** Tasks and what becomes of them, each by its id, are pairs as well; no id of an agent begins with a space. */
function taskPair(tag: number, id: number): string {
  return ` ${tag} ${id}`;
}

function put(target: Target, tag: number, bytes: Buffer): void {
  const buffer = target.room(1 + varintSize(bytes.length) + bytes.length);
  buffer[target.length++] = tag;
  target.length = writeVarint(buffer, target.length, bytes.length);
  bytes.copy(buffer, target.length);
  target.length += bytes.length;
}

/** An OpenRequest or OpenResponse with a part. */
function encodePart(id: number, data: Buffer, isLast: boolean): Buffer {
  const size = 1 + varintSize(id) + 1 + varintSize(data.length) + data.length + (isLast ? 2 : 0);
  const bytes = Buffer.allocUnsafe(1 + varintSize(size) + size);
  bytes[0] = PART;
  let pos = writeVarint(bytes, 1, size);
  bytes[pos++] = PART_ID;
  pos = writeVarint(bytes, pos, id);
  bytes[pos++] = PART_DATA;
  pos = writeVarint(bytes, pos, data.length);
  pos += data.copy(bytes, pos);
  if (isLast) {
    bytes[pos++] = PART_LAST;
    bytes[pos] = 1;
  }
  return bytes;
}
