import type { TroupeError } from '../core/errors.js';
import type { Payload } from '../core/payload.js';
import type { Content } from '../runtime/delivery.js';

/** A message that somebody in this process, or attached to it, sends. */
export interface OutgoingMessage {
  /** The agent or client that sends it. */
  readonly from: string;
  /** The agent that it is for; '' for a broadcast. */
  readonly to: string;
  /** '' unless it is a broadcast. */
  readonly topic: string;
  /** Decoded, or encoded as it came. */
  readonly content: Payload | Content;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly id: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly waitForRoom: boolean;
  readonly atLeastOnce: boolean;
  /** Parts of the answer that may come at first; 0: none. */
  readonly demand: number;
}

/** Who waits for what becomes of a message: hears of its end once. */
export interface Waiter {
  /** The answer to a request; for a send, that the mailbox has it (without content). `content` is valid until the end of this turn of the event loop, unless retained. */
  answered(content: Content | undefined, from: string): void;
  failed(error: TroupeError): void;
  /** A part of an answer. */
  part?(sequence: number, content: Content): void;
}

/** What became of a broadcast. */
export interface BroadcastResult {
  /** Whether the mailbox of each subscriber has it. */
  readonly delivered: ReadonlyMap<string, boolean>;
  /** Nodes with subscribers that did not say what became of it. */
  readonly silentNodes: readonly string[];
}

/** A message that is waited for. */
export interface PendingMessage {
  /** Nobody waits any more: the receiver is told, the waiter hears `error`. */
  cancel(error: TroupeError): void;
  /** So many more parts of the answer are wanted. */
  demand(parts: number): void;
}
