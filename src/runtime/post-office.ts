import type { Messenger, Subscription } from '../agent/messages.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';
import type { Recipient } from './delivery.js';

/** What the context of a message or task adds to all that is sent from there. */
export interface SendingContext {
  /** Milliseconds since the epoch: nothing that is sent waits longer. */
  readonly deadlineMs: number;
  readonly trace: TraceHeaders | undefined;
}

/** What an agent needs of whoever carries messages. */
export interface PostBox extends Messenger {
  /** The same, for what is sent while something is worked on. */
  within(context: SendingContext): Messenger;
  /** Resolves when the cluster knows. `recipient` gets what comes; the agent itself when not given. */
  subscribe(pattern: string, recipient?: Recipient): Promise<Subscription>;
  /** Ends subscriptions, and takes the agent out of reach. */
  close(): void;
}

/** Carries messages: what a host needs to make its agents reachable. */
export interface PostOffice {
  /** Makes an agent of this process reachable. */
  open(recipient: Recipient): PostBox;
}
