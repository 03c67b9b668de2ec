import type { MessageOptions, Reply, SendOptions } from '../agent/messages.js';
import type { Json } from '../core/json.js';
import { type Payload, payloadJson, payloadText } from '../core/payload.js';
import type { RoutedDeadLetter, RoutedRequestResponse, RoutedTopicMessage } from '../gen/troupe/internal/v1/routed_messaging.js';
import type { BroadcastResponse } from '../gen/troupe/v1/messaging.js';
import { decodePayload } from '../rpc/codec/payload.js';

export interface ClientSendOptions extends SendOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

export interface BroadcastOptions extends MessageOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

export interface SubscribeOptions {
  /** Ends the subscription, and the iteration with it. */
  readonly signal?: AbortSignal | undefined;
  /** Told once, when the cluster knows of the subscription: what is broadcast from now on comes. `id`: how senders see this subscriber. */
  readonly onSubscribed?: (id: string) => void;
}

/** Something with a payload that came from the cluster. */
export abstract class Received {
  private decoded: Payload | undefined;

  /** @internal */
  constructor(private readonly encoded: Buffer) {}

  /** Decoded when first looked at. @throws TroupeError INVALID_ARGUMENT when what was sent is no payload. */
  get payload(): Payload {
    this.decoded ??= decodePayload(this.encoded);
    return this.decoded;
  }

  /** The payload as JSON. @throws TroupeError INVALID_ARGUMENT when it is not JSON. */
  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }

  /** The payload as text. */
  text(): string {
    return payloadText(this.payload);
  }
}

/** An agent's answer. */
export class Answer extends Received implements Reply {
  readonly from: string;

  constructor({ payload, from }: RoutedRequestResponse) {
    super(payload);
    this.from = from;
  }
}

/** A message that was broadcast to a topic. */
export class TopicMessage extends Received {
  readonly topic: string;
  /** The agent or client that sent it. */
  readonly from: string;
  readonly headers: ReadonlyMap<string, string>;

  /** @internal */
  constructor({ topic, from, payload, headers }: RoutedTopicMessage) {
    super(payload);
    this.topic = topic;
    this.from = from;
    this.headers = headers;
  }
}

/** Whether the mailbox of each subscriber has what was broadcast, by id. */
export class Receipts extends Map<string, boolean> {
  /** Nodes with subscribers that did not say what became of it there. */
  readonly silentNodes: readonly string[];

  /** @internal */
  constructor({ delivered, silentNodes }: BroadcastResponse) {
    super(delivered);
    this.silentNodes = silentNodes;
  }
}

/** Who wants what is broadcast to a topic. */
export interface TopicInterest {
  /** The topic, or a pattern of topics. */
  readonly pattern: string;
  /** The nodes and gateways that have subscribers. */
  readonly nodeIds: readonly string[];
}

/** A message that could not be delivered. */
export class DeadLetter extends Received {
  /** Counts up, at its process. */
  readonly number: number;
  /** When it was given up. */
  readonly time: Date;
  /** Of an error, such as MAILBOX_FULL. */
  readonly reason: string;
  /** Why, in a sentence. */
  readonly description: string;
  readonly from: string;
  readonly to: string;
  /** '' unless it was broadcast. */
  readonly topic: string;
  /** The sender's own name for it; '' when it gave none. */
  readonly messageId: string;
  /** The process that gave it up. */
  readonly nodeId: string;

  /** @internal */
  constructor({ payload, number, time, ...letter }: RoutedDeadLetter) {
    super(payload);
    this.number = Number(number);
    this.time = time ?? new Date(0);
    this.reason = letter.reason;
    this.description = letter.description;
    this.from = letter.from;
    this.to = letter.to;
    this.topic = letter.topic;
    this.messageId = letter.messageId;
    this.nodeId = letter.nodeId;
  }
}

/** Dead letters of one process, the youngest first. */
export interface DeadLetterList {
  readonly letters: readonly DeadLetter[];
  /** How many there have been since the process started: the last 1,000, of 8 MiB together, are kept. */
  readonly total: number;
}
