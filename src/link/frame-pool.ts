/** Of a buffer for a frame of small envelopes, and for one of larger ones with a part of a large one at its end. */
export const SMALL_BUFFER_BYTES = 32 * 1024;
export const LARGE_BUFFER_BYTES = 132 * 1024;
/** Spare ones, of each size: 2 MiB and 4 MiB. */
const MAX_SMALL = 64;
const MAX_LARGE = 32;

/**
 * Buffers of frames, to be used again: of all links of a process, so that a link holds none while it has nothing to send.
 */
export class FramePool {
  private readonly small: Buffer[] = [];
  private readonly large: Buffer[] = [];

  /** A buffer of at least `bytes`. */
  take(bytes: number): Buffer {
    if (bytes <= SMALL_BUFFER_BYTES) return this.small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BUFFER_BYTES);
    if (bytes <= LARGE_BUFFER_BYTES) return this.large.pop() ?? Buffer.allocUnsafeSlow(LARGE_BUFFER_BYTES);
    return Buffer.allocUnsafeSlow(bytes);
  }

  /** Takes back what `take` gave, or a view of it, once nobody reads it any more. */
  give({ buffer }: Buffer): void {
    switch (buffer.byteLength) {
      case SMALL_BUFFER_BYTES:
        if (this.small.length < MAX_SMALL) this.small.push(Buffer.from(buffer));
        return;
      case LARGE_BUFFER_BYTES:
        if (this.large.length < MAX_LARGE) this.large.push(Buffer.from(buffer));
        return;
      default:
      // Larger than most: not worth keeping.
    }
  }
}
