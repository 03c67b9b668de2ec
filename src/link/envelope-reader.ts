import { TroupeError } from '../core/errors.js';
import { Status } from '../gen/google/rpc/status.js';
import { EnvelopeKind, Receipts } from '../gen/troupe/v1/envelope.js';
import { fromStatusMessage } from '../rpc/status.js';
import type { DeliveryParts } from '../runtime/delivery.js';
import { FrameContent } from './frame-content.js';
import { NameCache } from './name-cache.js';

const NO_HEADERS: ReadonlyMap<string, string> = new Map();
const NONE: readonly string[] = [];
const EMPTY = Buffer.alloc(0);
/** Parts of an answer that may come at first where a request wants parts and does not say how many. */
const DEFAULT_DEMAND = 16;
/** Wire types of protobuf. */
const VARINT = 0;
const BIT64 = 1;
const BYTES = 2;
const BIT32 = 5;

/**
 * Reads one envelope after the other where it lies, without decoding its payload or making objects: the same reader each time, so what is kept of an
 * envelope is to be copied. Fields that it does not know are skipped.
 */
export class EnvelopeReader implements DeliveryParts {
  code: EnvelopeKind = EnvelopeKind.ENVELOPE_KIND_UNSPECIFIED;
  correlationId = 0;
  from = '';
  to = '';
  topic = '';
  /** Milliseconds since the epoch; 0: none. */
  deadlineMs = 0;
  id = '';
  sequence = 0;
  hops = 0;
  headers: ReadonlyMap<string, string> = NO_HEADERS;
  demand = 0;
  waitForRoom = false;
  atLeastOnce = false;
  fromNode = '';
  visitedNodes: readonly string[] = NONE;
  content: FrameContent = new FrameContent(EMPTY, 0, 0);
  hasContent = false;
  /** Where the encoded envelope lies. */
  frame: Buffer = EMPTY;
  start = 0;
  end = 0;

  private pos = 0;
  private streaming = false;
  private errorStart = 0;
  private errorEnd = 0;
  private receiptsStart = 0;
  private receiptsEnd = 0;
  private readonly names = new NameCache();

  get kind(): 'send' | 'request' {
    return this.code === EnvelopeKind.ENVELOPE_KIND_REQUEST ? 'request' : 'send';
  }

  /** Why there is no answer, or why a message was refused; undefined where the envelope has no error. */
  error(): TroupeError | undefined {
    if (this.errorEnd === 0) return undefined;
    return fromStatusMessage(Status.decode(this.frame.subarray(this.errorStart, this.errorEnd)));
  }

  get hasReceipts(): boolean {
    return this.receiptsEnd !== 0;
  }

  /** The number of receipts that are nothing else: what most are; 0 otherwise. */
  receiptsList(): number {
    const { frame, receiptsStart, receiptsEnd } = this;
    if (receiptsEnd - receiptsStart > 6 || frame[receiptsStart] !== 0x18) return 0;
    this.pos = receiptsStart + 1;
    return this.varint();
  }

  receipts(): Receipts | undefined {
    if (this.receiptsEnd === 0) return undefined;
    return Receipts.decode(this.frame.subarray(this.receiptsStart, this.receiptsEnd));
  }

  /** Reads the envelope that lies from `start` to `end`. @throws INVALID_ARGUMENT / MALFORMED_MESSAGE. */
  read(frame: Buffer, start: number, end: number): void {
    this.reset(frame, start, end);
    while (this.pos < end) {
      const tag = this.varint();
      switch (tag) {
        case 0x08:
          this.code = this.varint();
          break;
        case 0x10:
          this.correlationId = this.varint();
          break;
        case 0x1a:
          this.from = this.name();
          break;
        case 0x22:
          this.to = this.name();
          break;
        case 0x2a:
          this.topic = this.name();
          break;
        case 0x32: {
          const length = this.length();
          this.content = new FrameContent(frame, this.pos, this.pos + length);
          this.hasContent = true;
          this.pos += length;
          break;
        }
        case 0x3a:
          this.timestamp();
          break;
        case 0x48:
          this.sequence = this.varint();
          break;
        default:
          this.readRare(tag);
      }
    }
    if (this.pos !== end) throw malformed();
    if (!this.hasContent) this.content = new FrameContent(EMPTY, 0, 0);
    if (this.streaming && this.demand === 0) this.demand = DEFAULT_DEMAND;
  }

  private readRare(tag: number): void {
    switch (tag) {
      case 0x42:
        this.id = this.text();
        return;
      case 0x50:
        this.hops = this.varint();
        return;
      case 0x5a:
        this.header();
        return;
      case 0x62: {
        const length = this.length();
        this.errorStart = this.pos;
        this.errorEnd = this.pos + length;
        this.pos += length;
        return;
      }
      // Field 16, of bytes; the rest likewise, with their wire types.
      case 0x82: {
        const length = this.length();
        this.receiptsStart = this.pos;
        this.receiptsEnd = this.pos + length;
        this.pos += length;
        return;
      }
      case 0x88:
        this.streaming = this.varint() !== 0;
        return;
      case 0x90:
        this.demand = this.varint();
        return;
      case 0x98:
        this.waitForRoom = this.varint() !== 0;
        return;
      case 0xa0:
        this.atLeastOnce = this.varint() !== 0;
        return;
      case 0xaa:
        this.fromNode = this.name();
        return;
      case 0xb2:
        this.visitedNodes = [...this.visitedNodes, this.text()];
        return;
      default:
        this.skip(tag);
    }
  }

  private reset(frame: Buffer, start: number, end: number): void {
    this.frame = frame;
    this.start = start;
    this.end = end;
    this.pos = start;
    this.code = EnvelopeKind.ENVELOPE_KIND_UNSPECIFIED;
    this.correlationId = 0;
    this.from = '';
    this.to = '';
    this.topic = '';
    this.deadlineMs = 0;
    this.id = '';
    this.sequence = 0;
    this.hops = 0;
    this.headers = NO_HEADERS;
    this.demand = 0;
    this.waitForRoom = false;
    this.atLeastOnce = false;
    this.fromNode = '';
    this.visitedNodes = NONE;
    this.hasContent = false;
    this.streaming = false;
    this.errorEnd = 0;
    this.receiptsEnd = 0;
  }

  private varint(): number {
    const { frame } = this;
    let byte = frame[this.pos++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let shift = 7;
    for (; shift < 28; shift += 7) {
      byte = frame[this.pos++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    let factor = 0x10000000;
    for (let i = 0; i < 6; i++) {
      byte = frame[this.pos++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
    throw malformed();
  }

  /** The length of what follows, which lies within the envelope. */
  private length(): number {
    const length = this.varint();
    if (!(this.pos + length <= this.end)) throw malformed();
    return length;
  }

  private name(): string {
    const length = this.length();
    const from = this.pos;
    this.pos += length;
    return this.names.read(this.frame, from, this.pos);
  }

  private text(): string {
    const length = this.length();
    const from = this.pos;
    this.pos += length;
    return this.frame.toString('utf8', from, this.pos);
  }

  /** google.protobuf.Timestamp. */
  private timestamp(): void {
    const end = this.length() + this.pos;
    let ms = 0;
    while (this.pos < end) {
      const tag = this.varint();
      if (tag === 0x08) ms += this.varint() * 1000;
      else if (tag === 0x10) ms += this.varint() / 1e6;
      else this.skip(tag);
    }
    this.deadlineMs = ms;
  }

  /** An entry of a map of strings. */
  private header(): void {
    const end = this.length() + this.pos;
    let key = '';
    let value = '';
    while (this.pos < end) {
      const tag = this.varint();
      if (tag === 0x0a) key = this.text();
      else if (tag === 0x12) value = this.text();
      else this.skip(tag);
    }
    if (this.headers === NO_HEADERS) this.headers = new Map();
    (this.headers as Map<string, string>).set(key, value);
  }

  private skip(tag: number): void {
    if (tag >>> 3 === 0) throw malformed();
    switch (tag & 7) {
      case VARINT:
        this.varint();
        return;
      case BIT64:
        this.pos += 8;
        return;
      case BYTES:
        this.pos = this.length() + this.pos;
        return;
      case BIT32:
        this.pos += 4;
        return;
      default:
        throw malformed();
    }
  }
}

function malformed(): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'MALFORMED_MESSAGE', 'an envelope cannot be decoded');
}
