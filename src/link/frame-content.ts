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
    /** Whether the memory is its own: then what is decoded may be a view of it. */
    private isOwn = false,
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
        if (tag === DATA)
          return {
            kind: 'data',
            data: this.isOwn || mayKeep(frame, length) ? frame.subarray(from, end) : copy(frame, from, end),
          };
        const text = shortAscii(frame, from, end);
        if (text !== undefined) return { kind: 'text', text };
      }
    }
    // Decoded bytes are views of what they were decoded from.
    const isView = tag !== DATA || this.isOwn || mayKeep(frame, end - start);
    return decodePayload(isView ? frame.subarray(start, end) : copy(frame, start, end));
  }

  bytes(): Uint8Array {
    return this.frame.subarray(this.start, this.end);
  }

  retain(): void {
    if (this.isOwn) return;
    this.isOwn = true;
    if (mayKeep(this.frame, this.end - this.start)) return;
    this.frame = copy(this.frame, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
  }

  /** Writes the encoded payload. */
  copyTo(target: Buffer, at: number): void {
    copyBytes(this.frame, this.start, this.end, target, at);
  }
}

/**
 * Whether a view, which keeps the whole frame, costs little more memory than a copy: of large contents a copy each makes the collector stop
 * the process again and again, since memory outside of its heap weighs on it.
 */
function mayKeep(frame: Buffer, bytes: number): boolean {
  return bytes >= MIN_VIEW_BYTES && frame.buffer.byteLength <= bytes * MAX_VIEW_RATIO;
}

const MIN_VIEW_BYTES = 4 * 1024;
const MAX_VIEW_RATIO = 5;

function copy(frame: Buffer, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  copyBytes(frame, start, end, bytes, 0);
  return bytes;
}

/** Beyond it the call of native code, which takes some time, is worth it. */
const SHORT_BYTES = 128;

export function copyBytes(from: Uint8Array, start: number, end: number, to: Buffer, at: number): void {
  if (end - start > SHORT_BYTES) {
    to.set(start === 0 && end === from.length ? from : from.subarray(start, end), at);
    return;
  }
  for (let i = start, pos = at; i < end; i++, pos++) to[pos] = from[i] as number;
}

/** The text where all of it is ASCII, and so certainly UTF-8; undefined otherwise. */
function shortAscii(frame: Buffer, start: number, end: number): string | undefined {
  for (let i = start; i < end; i++) if ((frame[i] as number) >= 0x80) return undefined;
  return frame.toString('latin1', start, end);
}
