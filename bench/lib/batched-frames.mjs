// What is left of messaging when everything but speed is left out: messages packed into frames by hand.
//
// A message is its number and its length, 32 bits each, little endian, and its bytes; a frame is messages one after the other.

const HEADER_BYTES = 8;
/** Both ends work at once on frames of this size; with larger ones they take turns, with smaller ones each write costs too much. */
const SMALL_FRAME_BYTES = 24 * 1024;
const LARGE_FRAME_BYTES = 256 * 1024;
/** Messages from this size on go into large frames. */
const LARGE_MESSAGE_BYTES = 4 * 1024;

/** Packs messages into frames and writes one at a time: the next one when the one before has been taken. */
export class FrameWriter {
  #write;
  #frame = Buffer.allocUnsafeSlow(SMALL_FRAME_BYTES);
  #used = 0;
  #full = [];
  #spare = { [SMALL_FRAME_BYTES]: [], [LARGE_FRAME_BYTES]: [] };
  #writing = false;
  #scheduled = false;

  /** @param write `write(bytes, taken)`; the bytes are used again after `taken()` */
  constructor(write) {
    this.#write = write;
  }

  /** Adds a message with the bytes of `source` between `from` and `to`. */
  add(number, source, from, to) {
    const length = to - from;
    if (this.#used + HEADER_BYTES + length > this.#frame.length) this.#turnOver(HEADER_BYTES + length);
    const frame = this.#frame;
    const at = this.#used;
    put32(frame, at, number);
    put32(frame, at + 4, length);
    source.copy(frame, at + HEADER_BYTES, from, to);
    this.#used = at + HEADER_BYTES + length;
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  /** A frame is full: the next one takes at least `bytes`. */
  #turnOver(bytes) {
    if (this.#used > 0) this.#full.push({ frame: this.#frame, used: this.#used });
    const size = bytes < LARGE_MESSAGE_BYTES ? SMALL_FRAME_BYTES : LARGE_FRAME_BYTES;
    this.#frame = (bytes <= size ? this.#spare[size].pop() : undefined) ?? Buffer.allocUnsafeSlow(Math.max(bytes, size));
    this.#used = 0;
    if (!this.#writing) this.#flush();
  }

  #flush = () => {
    this.#scheduled = false;
    if (this.#writing) return;
    let next = this.#full.shift();
    if (next === undefined) {
      if (this.#used === 0) return;
      next = { frame: this.#frame, used: this.#used };
      this.#frame = this.#spare[this.#frame.length]?.pop() ?? Buffer.allocUnsafeSlow(this.#frame.length);
      this.#used = 0;
    }
    this.#writing = true;
    this.#write(next.frame.subarray(0, next.used), () => {
      this.#writing = false;
      this.#spare[next.frame.length]?.push(next.frame);
      this.#flush();
    });
  };
}

/** Calls `onMessage(number, frame, from, to)` for each message of a frame. */
export function readFrame(frame, onMessage) {
  for (let at = 0; at < frame.length; ) {
    const from = at + HEADER_BYTES;
    const to = from + get32(frame, at + 4);
    onMessage(get32(frame, at), frame, from, to);
    at = to;
  }
}

export function put32(bytes, at, value) {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function get32(bytes, at) {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Calls under way, by small numbers that are used again: an array is faster than a Map. */
export class PendingCalls {
  #calls = [];
  #free = [];

  add(done) {
    const number = this.#free.pop() ?? this.#calls.length;
    this.#calls[number] = done;
    return number;
  }

  take(number) {
    const done = this.#calls[number];
    this.#calls[number] = undefined;
    this.#free.push(number);
    return done;
  }
}

/** The error of an answer that has not the length of its request. */
export function lengthError(expected, got) {
  return expected === got ? undefined : new Error(`an answer of ${got} bytes instead of ${expected}`);
}
