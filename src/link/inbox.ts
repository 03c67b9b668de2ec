import { TroupeError } from '../core/errors.js';
import { MAX_BATCH } from './outbox.js';

/** Envelopes that a program may send before it is given credit. */
export const WINDOW = 1_000;
/** Credit is given back when so many of them are used up, or so many bytes have come. */
const CREDIT_AFTER = WINDOW / 2;
const CREDIT_AFTER_BYTES = 1024 * 1024;

export interface CreditGiven {
  readonly envelopes: number;
  readonly received: number;
}

/** What comes from a program: counts it against its credit, and takes each numbered batch once. */
export class Inbox {
  private allowance = WINDOW;
  private used = 0;
  private usedBytes = 0;
  private lastSequence = 0;

  /** Number of the last batch that came. */
  get received(): number {
    return this.lastSequence;
  }

  /**
   * Takes in a batch: whether it is new. @throws INVALID_ARGUMENT / BATCH_SIZE, RESOURCE_EXHAUSTED / NO_CREDIT, FAILED_PRECONDITION / SEQUENCE_GAP.
   */
  accept(sequence: number, envelopes: number, bytes: number): boolean {
    if (envelopes === 0 || envelopes > MAX_BATCH)
      throw new TroupeError(
        'INVALID_ARGUMENT',
        'BATCH_SIZE',
        `batch.envelopes: a batch has 1 to ${MAX_BATCH} envelopes, not ${envelopes}`,
      );
    if (envelopes > this.allowance)
      throw new TroupeError(
        'RESOURCE_EXHAUSTED',
        'NO_CREDIT',
        `a batch of ${envelopes} envelopes came, and there was credit for ${this.allowance}; wait for credit`,
      );
    this.allowance -= envelopes;
    this.used += envelopes;
    this.usedBytes += bytes;
    if (sequence === 0) return true;
    if (sequence <= this.lastSequence) return false;
    if (sequence !== this.lastSequence + 1)
      throw new TroupeError(
        'FAILED_PRECONDITION',
        'SEQUENCE_GAP',
        `batch.sequence: ${sequence} came after ${this.lastSequence}; number batches without gaps`,
      );
    this.lastSequence = sequence;
    return true;
  }

  /** Credit that is due; undefined where none is. */
  takeCredit(): CreditGiven | undefined {
    if (this.used < CREDIT_AFTER && this.usedBytes < CREDIT_AFTER_BYTES) return undefined;
    const envelopes = this.used;
    this.allowance += envelopes;
    this.used = 0;
    this.usedBytes = 0;
    return { envelopes, received: this.lastSequence };
  }

  /** A new stream: the program may send a window again. */
  restart(): void {
    this.allowance = WINDOW;
    this.used = 0;
    this.usedBytes = 0;
  }
}
