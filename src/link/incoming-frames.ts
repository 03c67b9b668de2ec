import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { TroupeError } from '../core/errors.js';
import { LinkHello, LinkWelcome, OutcomeEnvelope, Part, TaskEnvelope } from '../gen/troupe/internal/v1/link.js';
import { EnvelopeReader } from './envelope-reader.js';

/** What frames are read into. */
export interface FrameHandlers {
  hello(hello: LinkHello): void;
  welcome(welcome: LinkWelcome): void;
  ping(): void;
  pong(): void;
  drain(): void;
  /** So many bytes more may be sent. */
  credit(bytes: number): void;
  /** The reader is the same each time. */
  envelope(envelope: EnvelopeReader): void;
  task(task: TaskEnvelope): void;
  outcome(outcome: OutcomeEnvelope): void;
}

const HELLO = 1;
const WELCOME = 2;
const PING = 3;
const PONG = 4;
const DRAIN = 5;
const PART = 6;
const ENVELOPE = 7;
const TASK = 8;
const OUTCOME = 9;
const CREDIT = 10;
const ENVELOPE_TAG = (ENVELOPE << 3) | WireType.LengthDelimited;

/** Large frames whose parts are under way, and their bytes, at most. */
const MAX_PARTIAL = 16;
const MAX_PARTIAL_BYTES = 16 * 1024 * 1024;

/** Reads the frames of one link: OpenRequest and OpenResponse alike. Puts the parts of large ones together. */
export class IncomingFrames {
  private readonly envelopes = new EnvelopeReader();
  private readonly partial = new Map<number, Buffer[]>();
  private partialBytes = 0;

  constructor(private readonly handlers: FrameHandlers) {}

  /** @throws INVALID_ARGUMENT / MALFORMED_MESSAGE, RESOURCE_EXHAUSTED / TOO_MANY_PARTS. */
  read(frame: Buffer): void {
    const { length } = frame;
    let pos = 0;
    while (pos < length) {
      // Most of what comes, without a reader.
      if (frame[pos] !== ENVELOPE_TAG) {
        pos = this.readOther(frame, pos);
        continue;
      }
      let size = frame[pos + 1] as number;
      let from = pos + 2;
      if (size >= 0x80) {
        let shift = 7;
        size &= 0x7f;
        for (;;) {
          const byte = frame[from++] as number;
          size += (byte & 0x7f) * 2 ** shift;
          if (byte < 0x80) break;
          shift += 7;
          if (shift > 28) throw malformed();
        }
      }
      const end = from + size;
      if (!(end <= length)) throw malformed();
      this.envelopes.read(frame, from, end);
      this.handlers.envelope(this.envelopes);
      pos = end;
    }
  }

  private readOther(frame: Buffer, pos: number): number {
    const { handlers } = this;
    try {
      const reader = new BinaryReader(frame);
      reader.pos = pos;
      const [field, wireType] = reader.tag();
      if (field === CREDIT && wireType === WireType.Varint) {
        const credit = reader.uint32();
        handlers.credit(credit);
        return reader.pos;
      }
      if (wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, field);
        return reader.pos;
      }
      const bytes = reader.bytes();
      this.dispatch(field, bytes);
      return reader.pos;
    } catch (error) {
      throw error instanceof TroupeError ? error : malformed(error);
    }
  }

  private dispatch(field: number, bytes: Uint8Array): void {
    const { handlers } = this;
    switch (field) {
      case HELLO:
        handlers.hello(LinkHello.decode(bytes));
        return;
      case WELCOME:
        handlers.welcome(LinkWelcome.decode(bytes));
        return;
      case PING:
        handlers.ping();
        return;
      case PONG:
        handlers.pong();
        return;
      case DRAIN:
        handlers.drain();
        return;
      case PART:
        this.part(Part.decode(bytes));
        return;
      case TASK:
        handlers.task(TaskEnvelope.decode(bytes));
        return;
      case OUTCOME:
        handlers.outcome(OutcomeEnvelope.decode(bytes));
        return;
      default:
    }
  }

  private part({ id, data, last }: Part): void {
    const parts = this.partial.get(id) ?? [];
    parts.push(data as Buffer);
    this.partialBytes += data.length;
    if (!last) {
      this.partial.set(id, parts);
      if (this.partial.size > MAX_PARTIAL || this.partialBytes > MAX_PARTIAL_BYTES)
        throw new TroupeError('RESOURCE_EXHAUSTED', 'TOO_MANY_PARTS', 'too many parts of large frames are under way');
      return;
    }
    this.partial.delete(id);
    const whole = Buffer.concat(parts);
    this.partialBytes -= whole.length;
    this.read(whole);
  }
}

function malformed(cause?: unknown): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'MALFORMED_MESSAGE', 'a frame of a link cannot be decoded', { cause });
}
