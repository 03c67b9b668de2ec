import type { Payload } from '../core/payload.js';
import { decodePayload } from '../rpc/codec/payload.js';
import type { Content } from '../runtime/delivery.js';

/** First byte of an encoded payload of one field: text, or bytes. */
const TEXT = 0x12;
const DATA = 0x1a;

/** The content of an envelope, in the frame that it came with: a view, until it is retained. */
export class FrameContent implements Content {
  constructor(
    private frame: Buffer,
    private start: number,
    private end: number,
  ) {}

  get length(): number {
    return this.end - this.start;
  }

  decode(): Payload {
    const { frame, start, end } = this;
    const tag = frame[start];
    if (tag === TEXT || tag === DATA) {
      const size = frame[start + 1] as number;
      let from = start + 2;
      let length = size;
      if (size >= 0x80) {
        length = (size & 0x7f) | ((frame[start + 2] as number) << 7);
        from = start + 3;
      }
      // Whatever is longer, or has more fields, takes the long way.
      if (length < 0x4000 && from + length === end) {
        if (tag === DATA) return { kind: 'data', data: copy(frame, from, end) };
        const text = shortAscii(frame, from, end);
        if (text !== undefined) return { kind: 'text', text };
      }
    }
    // Decoded bytes are views of what they were decoded from.
    return decodePayload(tag === DATA ? copy(frame, start, end) : frame.subarray(start, end));
  }

  bytes(): Uint8Array {
    return this.frame.subarray(this.start, this.end);
  }

  retain(): void {
    if (this.start === 0 && this.end === this.frame.length) return;
    this.frame = copy(this.frame, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
  }

  /** Writes the encoded payload. */
  copyTo(target: Buffer, at: number): void {
    this.frame.copy(target, at, this.start, this.end);
  }
}

function copy(frame: Buffer, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  frame.copy(bytes, 0, start, end);
  return bytes;
}

/** The text where all of it is ASCII, and so certainly UTF-8; undefined otherwise. */
function shortAscii(frame: Buffer, start: number, end: number): string | undefined {
  for (let i = start; i < end; i++) if ((frame[i] as number) >= 0x80) return undefined;
  return frame.toString('latin1', start, end);
}
