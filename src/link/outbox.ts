import { HELD_OVERHEAD_BYTES } from '../core/bytes.js';
import { Fifo } from '../core/fifo.js';
import { batchBytes } from './session-frames.js';

/** What a session holds for its program at most: what waits, and what was sent and is kept until it is known to have come; with what holding it takes. */
export const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** Of that, what is kept: beyond it nothing more is sent until the program says what it has received. */
export const MAX_KEPT_BYTES = 8 * 1024 * 1024;
/** Small envelopes travel together up to this: both ends then overlap instead of taking turns. */
const BATCH_BYTES = 24 * 1024;
/** From this on an envelope is large. */
const LARGE_BYTES = 4 * 1024;
/** Large ones travel together up to this; a larger one goes alone. */
const LARGE_BATCH_BYTES = 128 * 1024;
/** Entries that were taken back and may stay in the queue, beside as many as wait. */
const SLACK = 64;
export const MAX_BATCH = 10_000;
export const MAX_CREDIT = 1_000_000;

/** An envelope on its way to a program. */
export interface Sending {
  /** Whether it has not left yet. */
  readonly isWaiting: boolean;
  /** Takes it back; false when it has left. */
  withdraw(): boolean;
}

class Entry implements Sending {
  isWaiting = true;

  constructor(
    private readonly outbox: Outbox,
    /** What it is; undefined as long as that is still to be made. */
    public bytes: Buffer | undefined,
    public encode: (() => Buffer | undefined) | undefined,
  ) {}

  withdraw(): boolean {
    if (!this.isWaiting) return false;
    this.outbox.withdraw(this);
    return true;
  }
}

interface KeptBatch {
  readonly sequence: number;
  readonly frame: Buffer;
  readonly envelopes: number;
}

/**
 * What goes to a program: envelopes in order, batched, numbered, within its credit; kept until it says that it has them, and sent again over the next
 * stream where it has not. Bounded by MAX_HELD_BYTES.
 */
export class Outbox {
  /** With those that were taken back, and have not been passed over yet. */
  private readonly waiting = new Fifo<Entry>();
  private waitingCount = 0;
  private waitingBytes = 0;
  private readonly kept = new Fifo<KeptBatch>();
  private keptBytes = 0;
  /** Of the batch that was formed last. */
  private lastSequence = 0;
  /** Of the batch that was written last to the present stream. */
  private written = 0;
  private received = 0;

  /** `keeps`: whether the program may come back. `credit`: envelopes that it takes at first. */
  constructor(
    private readonly keeps: boolean,
    private allowance: number,
  ) {}

  get isEmpty(): boolean {
    return this.waitingCount === 0 && this.written === this.lastSequence;
  }

  /** Whether it waits for nothing but that the program says what it has received. */
  get isUnacknowledged(): boolean {
    return this.keptBytes >= MAX_KEPT_BYTES && this.waitingCount > 0;
  }

  /** Bytes that are held. */
  get heldBytes(): number {
    return this.waitingBytes + this.keptBytes;
  }

  /** Envelopes that wait. */
  get waitingEnvelopes(): number {
    return this.waitingCount;
  }

  /** Envelopes that may still be sent. */
  get credit(): number {
    return this.allowance;
  }

  /** Adds an envelope (of `envelopeBytes`); undefined where that would be more than is held for a program. */
  push(envelope: Buffer): Sending | undefined {
    const bytes = envelope.length + HELD_OVERHEAD_BYTES;
    if (this.heldBytes + bytes > MAX_HELD_BYTES) return undefined;
    this.waitingBytes += bytes;
    return this.add(new Entry(this, envelope, undefined));
  }

  /** Adds an envelope that is made when its turn comes, and holds nothing before; `encode` gives undefined where there is nothing to be sent after all. */
  pushLater(encode: () => Buffer | undefined): Sending {
    return this.add(new Entry(this, undefined, encode));
  }

  /** The next frame for the present stream; undefined where there is none, or none may go. */
  next(): Buffer | undefined {
    if (this.written < this.lastSequence) return this.nextKept();
    if (this.allowance === 0 || this.waitingCount === 0 || this.keptBytes >= MAX_KEPT_BYTES) return undefined;
    const envelopes = this.takeBatch();
    if (envelopes.length === 0) return undefined;
    this.allowance -= envelopes.length;
    this.lastSequence += 1;
    this.written = this.lastSequence;
    const frame = batchBytes(envelopes, this.lastSequence);
    if (this.keeps) {
      this.kept.push({ sequence: this.lastSequence, frame, envelopes: envelopes.length });
      this.keptBytes += frame.length + HELD_OVERHEAD_BYTES;
    } else this.received = this.lastSequence;
    return frame;
  }

  /** The program takes so many more. False where that is more than it may give. */
  addCredit(envelopes: number): boolean {
    if (this.allowance + envelopes > MAX_CREDIT) return false;
    this.allowance += envelopes;
    return true;
  }

  /** The program has all batches up to `sequence`. False where it cannot have. */
  acknowledge(sequence: number): boolean {
    if (sequence > this.written) return false;
    while (this.received < sequence) {
      const batch = this.kept.shift();
      if (batch === undefined) break;
      this.received = batch.sequence;
      this.keptBytes -= batch.frame.length + HELD_OVERHEAD_BYTES;
    }
    return true;
  }

  /** A new stream: what follows batch `received` goes again, then the rest. False where the program cannot have that. */
  restart(received: number, credit: number): boolean {
    if (received > this.lastSequence || received < this.received) return false;
    this.written = this.lastSequence;
    this.acknowledge(received);
    this.written = received;
    this.allowance = credit;
    return true;
  }

  /** Takes an entry back. Without credit nothing passes over it: the queue is made anew when little else is in it. */
  withdraw(entry: Entry): void {
    this.remove(entry);
    if (this.waiting.size <= 2 * this.waitingCount + SLACK) return;
    for (const each of this.waiting.clear()) if (each.isWaiting) this.waiting.push(each);
  }

  private remove(entry: Entry): void {
    entry.isWaiting = false;
    this.waitingCount -= 1;
    if (entry.bytes !== undefined) this.waitingBytes -= entry.bytes.length + HELD_OVERHEAD_BYTES;
    entry.bytes = undefined;
    entry.encode = undefined;
  }

  private add(entry: Entry): Entry {
    this.waiting.push(entry);
    this.waitingCount += 1;
    return entry;
  }

  /** What is sent again takes of the credit, but does not wait for it: it was paid for when it was sent first. */
  private nextKept(): Buffer | undefined {
    const batch = this.kept.at(this.written - this.received);
    if (batch === undefined) return undefined;
    this.written = batch.sequence;
    this.allowance = Math.max(0, this.allowance - batch.envelopes);
    return batch.frame;
  }

  private takeBatch(): Buffer[] {
    const envelopes: Buffer[] = [];
    const most = Math.min(this.allowance, MAX_BATCH);
    let size = 0;
    while (envelopes.length < most) {
      const entry = this.waiting.at(0);
      if (entry === undefined) break;
      const bytes = entry.isWaiting ? this.bytesOf(entry) : undefined;
      if (bytes !== undefined && size > 0 && size + bytes.length > (bytes.length < LARGE_BYTES ? BATCH_BYTES : LARGE_BATCH_BYTES))
        break;
      // What is taken back while it is made may have left the queue by itself.
      if (this.waiting.at(0) === entry) this.waiting.shift();
      if (entry.isWaiting) this.remove(entry);
      if (bytes === undefined) continue;
      size += bytes.length;
      envelopes.push(bytes);
    }
    return envelopes;
  }

  private bytesOf(entry: Entry): Buffer | undefined {
    if (entry.encode === undefined) return entry.bytes;
    const bytes = entry.encode();
    // It may have been taken back because it cannot be sent.
    if (!entry.isWaiting) return undefined;
    entry.encode = undefined;
    entry.bytes = bytes;
    if (bytes !== undefined) this.waitingBytes += bytes.length + HELD_OVERHEAD_BYTES;
    return bytes;
  }
}
