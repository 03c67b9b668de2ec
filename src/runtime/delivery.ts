import type { AgentMessage } from '../agent/messages.js';
import type { TroupeError } from '../core/errors.js';
import type { Json } from '../core/json.js';
import { type Payload, payloadJson, payloadText } from '../core/payload.js';
import { PartGate } from './part-gate.js';

/** Who gave a delivery to this process, and hears what becomes of it. */
export interface Origin {
  /** The mailbox has it. */
  taken(delivery: Delivery): void;
  /** Nobody has it, and nobody will. */
  refused(delivery: Delivery, error: TroupeError): void;
  /** The answer to a request. */
  answered(delivery: Delivery, answer: Payload): void;
  /** There is no answer. */
  failed(delivery: Delivery, error: TroupeError): void;
  /** A part of an answer; resolves when the next may come. */
  part(delivery: Delivery, sequence: number, part: Payload): Promise<void>;
  /** A message that `recipientId` had taken will not be handled after all, or its handler failed. */
  lost(delivery: Delivery, error: TroupeError, recipientId: string): void;
}

/** What a message is made of. */
export interface DeliveryParts {
  readonly kind: 'send' | 'request';
  /** Ties the answer to it, for its origin; 0: nobody wants to hear of it. */
  readonly correlationId: number;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly topic: string;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly waitForRoom: boolean;
  /** The process of `from` where the message was forwarded by another; '' where it came from there. */
  readonly fromNode: string;
  /** Parts of an answer that are wanted at first; 0: the answer alone. */
  readonly demand: number;
  /** The content, decoded when somebody looks. */
  readonly content: Content;
}

/** The content of a message, encoded. */
export interface Content {
  /** @throws TroupeError INVALID_ARGUMENT */
  decode(): Payload;
  /** The encoded troupe.v1.Payload: valid until `retain` or the end of this turn of the event loop. */
  bytes(): Uint8Array;
  /** Keeps it beyond this turn of the event loop, in memory of its own. */
  retain(): void;
  readonly length: number;
}

/** A message that has reached its process. */
export class Delivery implements AgentMessage {
  readonly kind: 'send' | 'request';
  readonly correlationId: number;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly topic: string;
  readonly deadlineMs: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly waitForRoom: boolean;
  readonly fromNode: string;
  readonly demand: number;
  readonly content: Content;
  /** Why nobody waits for the answer any more. */
  cancelled: TroupeError | undefined = undefined;
  /** A request that has been answered, or failed. */
  isDone = false;
  /** Its sender tries again when it is refused. */
  isCareful = false;
  /** Told when nobody waits any more. */
  onCancel: ((error: TroupeError) => void) | undefined = undefined;
  /** Lets the parts of its answer through; undefined where the answer alone is wanted. */
  readonly gate: PartGate | undefined;
  private decoded: Payload | undefined = undefined;

  constructor(
    parts: DeliveryParts,
    readonly origin: Origin,
  ) {
    this.kind = parts.kind;
    this.correlationId = parts.correlationId;
    this.id = parts.id;
    this.from = parts.from;
    this.to = parts.to;
    this.topic = parts.topic;
    this.deadlineMs = parts.deadlineMs;
    this.headers = parts.headers;
    this.waitForRoom = parts.waitForRoom;
    this.fromNode = parts.fromNode;
    this.demand = parts.demand;
    this.content = parts.content;
    this.gate = parts.demand > 0 ? new PartGate(parts.demand) : undefined;
  }

  get payload(): Payload {
    this.decoded ??= this.content.decode();
    return this.decoded;
  }

  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }

  text(): string {
    return payloadText(this.payload);
  }

  /** Nobody waits for the answer any more. */
  cancel(error: TroupeError): void {
    if (this.cancelled !== undefined) return;
    this.cancelled = error;
    this.gate?.open();
    this.onCancel?.(error);
  }
}

/** Whoever can be sent messages in this process. */
export interface Recipient {
  readonly id: string;
  /** Takes a delivery (undefined), lets it wait for room ('parked': its origin hears later), or says why not. */
  offer(delivery: Delivery): undefined | 'parked' | TroupeError;
}
