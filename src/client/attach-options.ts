import type { AgentTask } from '../agent/context.js';
import type { AgentMessage, Messenger, Subscription } from '../agent/messages.js';
import type { PayloadInput } from '../core/payload.js';

/** How attached agents talk: as themselves, over their stream. */
export interface AttachedMessenger extends Messenger {
  /**
   * Gets what is broadcast to a topic from now on, in which "*" stands for one name and ">" at the end for one or more, until it is cancelled or the agent ends:
   * also over later connections. It comes to `receive`. Resolves when the cluster knows.
   * @throws INVALID_ARGUMENT (the pattern), UNAVAILABLE (the registry is not reached), RESOURCE_EXHAUSTED (1,000 topics), FAILED_PRECONDITION (there is no `receive`).
   */
  subscribe(pattern: string): Promise<Subscription>;
}

/** What an attached agent has at hand while it works. */
export interface AttachedContext extends AttachedMessenger {
  readonly agentId: string;
  /** The node that it is attached to. */
  readonly nodeId: string;
  /** Aborts when nobody waits any more, or the agent has lost its place in the cluster. */
  readonly signal: AbortSignal;
  /** Milliseconds until nobody waits any more; never negative. */
  remainingMs(): number;
  /** W3C trace context; goes on with all that is sent from here. */
  readonly traceparent: string | undefined;
  /** `traceparent`, `tracestate` and `baggage`, as far as they are there; they go on with all that is sent from here. */
  readonly traceHeaders: Readonly<Record<string, string>>;
  /** Gives a part of the answer. Waits while the reader is behind; does nothing where only the answer is wanted. */
  emit(chunk: PayloadInput): Promise<void>;
}

/** What it has besides while it works on a task. */
export interface AttachedTaskContext extends AttachedContext {
  /** Tells a streaming caller how far the work is: 0 to 1, and a few words. */
  progress(fraction: number, note?: string): Promise<void>;
}

/** An agent that runs in this process and hangs on the cluster by a stream. */
export interface AttachOptions {
  /** Matches `^[a-z0-9][a-z0-9._-]{0,62}$` and is unique in the cluster. */
  readonly id: string;
  /** What it offers, at most 64. Needs `run`. */
  readonly capabilities?: readonly string[];
  /** Does one task: as in `defineAgent`. */
  readonly run?: (task: AgentTask, ctx: AttachedTaskContext) => PayloadInput | Promise<PayloadInput>;
  /** Handles one message: as in `defineAgent`. */
  readonly receive?: (message: AgentMessage, ctx: AttachedContext) => unknown;
  /** Topics that it subscribes to from the beginning and for as long as it lives, at most 64. Needs `receive`. */
  readonly topics?: readonly string[];
  /** Tasks that it works on at once, and beside them messages, 1 to 10,000; 1 when not given. */
  readonly concurrency?: number;
  /** Tasks, and messages, that may wait for it at its node, 1 to 100,000; 100 when not given. */
  readonly mailboxCapacity?: number;
  /** Its share under weighted strategies, 1 to 1,000; 1 when not given. */
  readonly weight?: number;
  /** Free entries, as of an instance. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** One of several that do the same: a name of its own is appended to `id`. */
  readonly replica?: boolean;
  /** How long it is waited for when its connection breaks, at most 5 min; 10 s when not given. */
  readonly graceMs?: number;
}
