import type { Json } from '../core/json.js';
import type { Payload, PayloadInput } from '../core/payload.js';
import type { TraceOptions } from '../telemetry/trace-headers.js';

/** A message as its receiver sees it. */
export interface AgentMessage {
  /** Whether the sender waits for an answer: what `receive` returns. */
  readonly kind: 'send' | 'request';
  /** The sender's own name for it; '' when it gave none. */
  readonly id: string;
  /** The agent or client that sent it: `ctx.send(message.from, …)` reaches an agent. */
  readonly from: string;
  /** The topic that it was broadcast to; '' for a message to this agent alone. */
  readonly topic: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly payload: Payload;
  /** The payload as JSON. @throws TroupeError INVALID_ARGUMENT when it is not JSON. */
  json<T = Json>(): T;
  /** The payload as text. */
  text(): string;
}

/** An answer. */
export interface Reply {
  /** The agent that answered. */
  readonly from: string;
  readonly payload: Payload;
  /** The payload as JSON. @throws TroupeError INVALID_ARGUMENT when it is not JSON. */
  json<T = Json>(): T;
  /** The payload as text. */
  text(): string;
}

/** Headers that a message may have, those of its trace among them. */
export const MAX_HEADERS = 16;

/** What every message can be told. */
export interface MessageOptions extends TraceOptions {
  /** How long it may take, 1 ms to 1 h; 30 s when not given, and never longer than what the request or task that is worked on has left. */
  readonly timeoutMs?: number;
  /** Free entries that the receiver sees: at most 16, a value at most 1 KiB. Those of the trace are among them: of what is worked on when not given. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SendOptions extends MessageOptions {
  /** A full mailbox does not refuse the message: it waits for room, one message of this sender after the other, until its time is over. */
  readonly waitForRoom?: boolean;
  /** It is sent again until it is acknowledged or its time is over; the receiver drops what it has got already. */
  readonly atLeastOnce?: boolean;
  /** The sender's own name for it, at most 63 characters; made up where `atLeastOnce` needs one. */
  readonly id?: string;
}

export interface RequestOptions extends MessageOptions {
  /** Ends the wait, and tells the receiver that nobody waits. */
  readonly signal?: AbortSignal | undefined;
  /** Asking twice does no harm: where the outcome is unknown, it is asked again. */
  readonly idempotent?: boolean;
}

/** A wish for what is broadcast to a topic. */
export interface Subscription {
  readonly pattern: string;
  /** Nothing more comes. */
  cancel(): void;
}

/** How agents and clients talk. Every method throws TroupeError: what the contract says of `Messaging`. */
export interface Messenger {
  /**
   * Sends a message to an agent: true when its mailbox has it. In order of sending, to one receiver. At most once, unless `atLeastOnce`.
   * @throws NOT_FOUND (no such agent), RESOURCE_EXHAUSTED / MAILBOX_FULL, UNAVAILABLE (it was not sent), ABORTED / OUTCOME_UNKNOWN, DEADLINE_EXCEEDED.
   */
  send(to: string, payload?: PayloadInput, options?: SendOptions): Promise<true>;
  /** Asks an agent and waits for its answer. @throws as `send`, or what the agent threw. */
  request(to: string, payload?: PayloadInput, options?: RequestOptions): Promise<Reply>;
  /**
   * Asks an agent for an answer in parts: what it emits, then, as the value of the iteration's end, what it returns. The agent waits while
   * the reader is 16 parts behind. Leaving the loop tells it that nobody waits. @throws as `request`.
   */
  stream(to: string, payload?: PayloadInput, options?: RequestOptions): AsyncGenerator<Reply, Reply, undefined>;
  /**
   * Sends a message to all that subscribe to a topic, but not to the sender itself: whether the mailbox of each has it, by id.
   * @throws INVALID_ARGUMENT (the topic).
   */
  broadcast(topic: string, payload?: PayloadInput, options?: MessageOptions): Promise<ReadonlyMap<string, boolean>>;
}
