import type { Subscription } from '../agent/messages.js';
import type { Recipient } from '../runtime/delivery.js';
import type { BroadcastResult, OutgoingMessage, PendingMessage, Waiter } from './outgoing.js';

/** Carries messages between whoever is in this process or attached to it, and everybody else: what services and sessions need of it. */
export interface Messages {
  /** This process, as others know it. */
  readonly nodeId: string;
  /** Makes somebody reachable here. Returns how to end that. */
  attach(recipient: Recipient): () => void;
  /** The waiter hears `answered` when the mailbox has it. */
  send(message: OutgoingMessage, waiter: Waiter): PendingMessage;
  /** The waiter hears the answer. */
  request(message: OutgoingMessage, waiter: Waiter): PendingMessage;
  /** @throws INVALID_ARGUMENT (the topic). */
  broadcast(message: OutgoingMessage): Promise<BroadcastResult>;
  /** Resolves when the cluster knows. @throws INVALID_ARGUMENT (the pattern), UNAVAILABLE. */
  subscribe(pattern: string, recipient: Recipient): Promise<Subscription>;
}
