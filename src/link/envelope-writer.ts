import { MAX_PAYLOAD_BYTES, type Payload, payloadTooLarge } from '../core/payload.js';
import type { Status } from '../gen/google/rpc/status.js';
import { Envelope, EnvelopeKind, type Receipts } from '../gen/troupe/v1/envelope.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { encodeMessage } from '../rpc/encode.js';
import type { Content } from '../runtime/delivery.js';
import { copyBytes, FrameContent } from './frame-content.js';
import { varintSize, writeVarint } from './varint.js';

/** What seldom is in an envelope. */
export interface RareFields {
  readonly id?: string;
  readonly hops?: number;
  readonly headers?: ReadonlyMap<string, string>;
  readonly error?: Status;
  readonly receipts?: Receipts;
  /** Fields that are encoded already; then the others count for nothing. */
  readonly encoded?: Buffer;
  readonly demand?: number;
  readonly waitForRoom?: boolean;
  readonly atLeastOnce?: boolean;
  readonly fromNode?: string;
  readonly visitedNodes?: readonly string[];
}

/** An envelope to be written: troupe.v1.Envelope, its content decoded or as it came. */
export interface OutgoingEnvelope {
  readonly kind: EnvelopeKind;
  readonly correlationId: number;
  readonly from: string;
  readonly to: string;
  readonly topic: string;
  readonly content: Payload | Content | undefined;
  /** Milliseconds since the epoch; 0: none. */
  readonly deadlineMs: number;
  readonly sequence: number;
  readonly rare: RareFields | undefined;
}

const EMPTY = Buffer.alloc(0);
const TAG = { kind: 0x08, correlationId: 0x10, from: 0x1a, to: 0x22, topic: 0x2a, payload: 0x32, deadline: 0x3a, sequence: 0x48 };
const TEXT = 0x12;
const DATA = 0x1a;
/** Beyond it, strings are measured and written by native code, which takes some time to call. */
const SHORT_CHARS = 64;

/** How a payload goes into the buffer. */
type Form = 'none' | 'bytes' | 'frame' | 'text' | 'data';

/**
 * Writes envelopes one after the other into one buffer, in one pass and without objects in between: the generated code takes three times as
 * long. What it writes is what the generated code reads; a contract test holds the two against each other.
 */
export class EnvelopeWriter {
  private form: Form = 'none';
  private bytes: Uint8Array = EMPTY;
  private textBytes = 0;
  private deadlineMs = 0;
  private readonly deadline = Buffer.alloc(16);
  private deadlineBytes = 0;

  /** Writes `envelope` with the tag of field `field`, and gives the buffer, a larger one where it did not fit, and where it ends. */
  write(target: Target, field: number, envelope: OutgoingEnvelope): void {
    const rare = envelope.rare === undefined ? EMPTY : (envelope.rare.encoded ?? encodeRare(envelope));
    const payload = this.measurePayload(envelope.content);
    if (payload > MAX_PAYLOAD_BYTES) throw payloadTooLarge(payload);
    const { correlationId, from, to, topic, deadlineMs, sequence } = envelope;
    if (deadlineMs !== 0 && deadlineMs !== this.deadlineMs) this.encodeDeadline(deadlineMs);
    if (from.length >= SHORT_CHARS || to.length >= SHORT_CHARS) throw new RangeError('ids have at most 63 characters');
    const size =
      2 +
      (correlationId === 0 ? 0 : 1 + varintSize(correlationId)) +
      (from === '' ? 0 : 2 + from.length) +
      (to === '' ? 0 : 2 + to.length) +
      (topic === '' ? 0 : 1 + varintSize(topic.length) + topic.length) +
      (payload < 0 ? 0 : 1 + varintSize(payload) + payload) +
      (deadlineMs === 0 ? 0 : 2 + this.deadlineBytes) +
      (sequence === 0 ? 0 : 1 + varintSize(sequence)) +
      rare.length;
    const buffer = target.room(size + 6);
    let pos = target.length;
    buffer[pos++] = field;
    pos = writeVarint(buffer, pos, size);
    buffer[pos++] = TAG.kind;
    buffer[pos++] = envelope.kind;
    if (correlationId !== 0) {
      buffer[pos++] = TAG.correlationId;
      pos = writeVarint(buffer, pos, correlationId);
    }
    if (from !== '') pos = writeName(buffer, pos, TAG.from, from);
    if (to !== '') pos = writeName(buffer, pos, TAG.to, to);
    if (topic !== '') pos = writeName(buffer, pos, TAG.topic, topic);
    if (payload >= 0) {
      buffer[pos++] = TAG.payload;
      pos = writeVarint(buffer, pos, payload);
      pos = this.writePayload(buffer, pos, envelope.content);
    }
    if (deadlineMs !== 0) {
      buffer[pos++] = TAG.deadline;
      buffer[pos++] = this.deadlineBytes;
      for (let i = 0; i < this.deadlineBytes; i++) buffer[pos++] = this.deadline[i] as number;
    }
    if (sequence !== 0) {
      buffer[pos++] = TAG.sequence;
      pos = writeVarint(buffer, pos, sequence);
    }
    if (rare.length > 0) {
      copyBytes(rare, 0, rare.length, buffer, pos);
      pos += rare.length;
    }
    target.length = pos;
  }

  /** Bytes of the encoded payload; -1 where there is none. */
  private measurePayload(content: Payload | Content | undefined): number {
    if (content === undefined) return this.none();
    if (content instanceof FrameContent) {
      this.form = 'frame';
      return content.length;
    }
    if (!('kind' in content)) return this.encoded(content.bytes());
    if (content.kind === 'empty') return this.none();
    if (content.kind === 'json' || content.contentType !== undefined) return this.encoded(encodePayload(content));
    if (content.kind === 'data') {
      this.form = 'data';
      return 1 + varintSize(content.data.length) + content.data.length;
    }
    this.form = 'text';
    const { text } = content;
    this.textBytes = text.length <= SHORT_CHARS && isAscii(text) ? text.length : Buffer.byteLength(text);
    return 1 + varintSize(this.textBytes) + this.textBytes;
  }

  private none(): number {
    this.form = 'none';
    return -1;
  }

  private encoded(bytes: Uint8Array): number {
    this.form = 'bytes';
    this.bytes = bytes;
    return bytes.length;
  }

  private writePayload(buffer: Buffer, at: number, content: Payload | Content | undefined): number {
    let pos = at;
    switch (this.form) {
      case 'frame': {
        const frame = content as FrameContent;
        frame.copyTo(buffer, pos);
        return pos + frame.length;
      }
      case 'bytes':
        copyBytes(this.bytes, 0, this.bytes.length, buffer, pos);
        pos += this.bytes.length;
        this.bytes = EMPTY;
        return pos;
      case 'data': {
        const { data } = content as { readonly data: Uint8Array };
        buffer[pos++] = DATA;
        pos = writeVarint(buffer, pos, data.length);
        copyBytes(data, 0, data.length, buffer, pos);
        return pos + data.length;
      }
      case 'text': {
        const { text } = content as { readonly text: string };
        buffer[pos++] = TEXT;
        pos = writeVarint(buffer, pos, this.textBytes);
        if (this.textBytes === text.length && text.length <= SHORT_CHARS) {
          for (let i = 0; i < text.length; i++) buffer[pos++] = text.charCodeAt(i);
          return pos;
        }
        return pos + buffer.write(text, pos, this.textBytes === text.length ? 'latin1' : 'utf8');
      }
      default:
        return pos;
    }
  }

  /** google.protobuf.Timestamp. Kept: what is sent in one millisecond mostly has one deadline. */
  private encodeDeadline(deadlineMs: number): void {
    const seconds = Math.floor(deadlineMs / 1000);
    const nanos = Math.round((deadlineMs - seconds * 1000) * 1e6);
    this.deadline[0] = 0x08;
    let pos = writeVarint(this.deadline, 1, seconds);
    if (nanos > 0) {
      this.deadline[pos++] = 0x10;
      pos = writeVarint(this.deadline, pos, nanos);
    }
    this.deadlineBytes = pos;
    this.deadlineMs = deadlineMs;
  }
}

/** Where envelopes are written. */
export interface Target {
  /** Bytes written. */
  length: number;
  /** The buffer, with room for `bytes` more. */
  room(bytes: number): Buffer;
}

function writeName(buffer: Buffer, at: number, tag: number, name: string): number {
  let pos = at;
  buffer[pos++] = tag;
  pos = writeVarint(buffer, pos, name.length);
  for (let i = 0; i < name.length; i++) buffer[pos++] = name.charCodeAt(i);
  return pos;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** The field of an envelope that holds receipts. */
export function encodeReceipts(receipts: Receipts): Buffer {
  return encodeRare({ kind: EnvelopeKind.ENVELOPE_KIND_ACK, rare: { receipts } });
}

function encodeRare({ kind, rare }: Pick<OutgoingEnvelope, 'kind' | 'rare'>): Buffer {
  const { id = '', hops = 0, headers, error, receipts, demand = 0, waitForRoom = false, ...more } = rare ?? {};
  const { atLeastOnce = false, fromNode = '', visitedNodes = [] } = more;
  return encodeMessage(Envelope, {
    kind: EnvelopeKind.ENVELOPE_KIND_UNSPECIFIED,
    correlationId: 0n,
    from: '',
    to: '',
    topic: '',
    payload: undefined,
    deadline: undefined,
    id,
    sequence: 0n,
    hops,
    headers: new Map(headers ?? []),
    error,
    task: undefined,
    attempt: 0,
    result: undefined,
    receipts,
    streaming: demand > 0 && kind === EnvelopeKind.ENVELOPE_KIND_REQUEST,
    demand,
    waitForRoom,
    atLeastOnce,
    fromNode,
    visitedNodes: [...visitedNodes],
    progress: undefined,
  });
}
