import type { TroupeError } from '../core/errors.js';
import type { Delivery } from '../runtime/delivery.js';
import type { OutgoingMessage } from './outgoing.js';

/** What is told of messages that nobody gets. */
export interface DeadLetterSink {
  /** `recipientId`: who did not get it, where that is not `message.to`. */
  add(message: OutgoingMessage | Delivery, error: TroupeError, recipientId?: string): void;
}
