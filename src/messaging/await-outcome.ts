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
