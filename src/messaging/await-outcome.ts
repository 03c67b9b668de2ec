import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Call } from '../rpc/call.js';
import type { Content } from '../runtime/delivery.js';
import type { PendingMessage, Waiter } from './outgoing.js';

/**
 * What becomes of a message that a unary call sends. `read` makes the answer of what came, at once: later the content is not there any more. A
 * caller that goes away, or whose deadline passes, ends the wait, and the receiver is told.
 */
export function awaitOutcome<T>(
  call: Pick<Call, 'onCancel'>,
  start: (waiter: Waiter) => PendingMessage,
  read: (content: Content | undefined, from: string) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const pending = start({
      answered: (content, from) => {
        isOver = true;
        resolve(read(content, from));
      },
      failed: (error) => {
        isOver = true;
        reject(error);
      },
    });
    call.onCancel((error) => {
      if (!isOver) pending.cancel(error);
    });
  });
}

const MAX_TRIES = 3;
const BACKOFF = { initialMs: 100, capMs: 1_000 };

export interface AskAgainDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlineMs: number;
  /** Looked at when something is asked again: a signal for each call costs throughput. */
  readonly signal: () => AbortSignal;
}

/** Asks up to three times where the outcome is unknown: for questions that may be asked twice. */
export async function askAgain<T>(ask: () => Promise<T>, { clock, random, deadlineMs, signal }: AskAgainDeps): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      const pauseMs = backoffMs(tries, BACKOFF, random);
      if (!isTroupeError(error, 'OUTCOME_UNKNOWN') || tries >= MAX_TRIES || clock.now() + pauseMs >= deadlineMs) throw error;
      await delay(pauseMs, signal(), clock);
    }
  }
}
