import { asBuffer } from '../core/bytes.js';
import type { Clock } from '../core/clock.js';
import { invalidArgument, TroupeError } from '../core/errors.js';
import { idViolation, newId } from '../core/ids.js';
import type { Random } from '../core/random.js';
import {
  RoutedBroadcastRequest,
  RoutedListDeadLettersResponse,
  RoutedRequestRequest,
  RoutedRequestResponse,
  RoutedSendRequest,
  RoutedSubscribeResponse,
} from '../gen/troupe/internal/v1/routed_messaging.js';
import {
  BroadcastResponse,
  ListDeadLettersRequest,
  type ListTopicsRequest,
  type ListTopicsResponse,
  MessagingDefinition,
  SendResponse,
  type SubscribeRequest,
} from '../gen/troupe/v1/messaging.js';
import type { Call } from '../rpc/call.js';
import { encodeMessage } from '../rpc/encode.js';
import { readPage } from '../rpc/page.js';
import { type Encodable, type Handlers, withTypes } from '../rpc/service.js';
import type { Delivery } from '../runtime/delivery.js';
import { awaitOutcome } from './await-outcome.js';
import type { DeadLetter, DeadLetters } from './dead-letters.js';
import { broadcastOrder, checkTopics, type MessageContext, requestOrder, sendOrder } from './message-order.js';
import type { Messages } from './messages.js';
import { RequestWaiter } from './request-waiter.js';
import { InboxSpace, TopicInbox } from './topic-inbox.js';

const { connect: _, ...methods } = MessagingDefinition.methods;

/** Messaging with payloads left encoded, without Connect, which is a stream of bytes. */
export const RoutedMessagingDefinition = withTypes(
  { fullName: MessagingDefinition.fullName, methods },
  {
    send: { requestType: RoutedSendRequest, responseType: SendResponse },
    request: { requestType: RoutedRequestRequest, responseType: RoutedRequestResponse },
    broadcast: { requestType: RoutedBroadcastRequest, responseType: BroadcastResponse },
    subscribe: { requestType: methods.subscribe.requestType, responseType: RoutedSubscribeResponse },
    listDeadLetters: { requestType: ListDeadLettersRequest, responseType: RoutedListDeadLettersResponse },
  },
);

export interface MessagingServiceDeps {
  readonly messages: Messages;
  /** Who in the cluster subscribes to what. */
  readonly interest: { topics(): Iterable<readonly [pattern: string, nodeIds: readonly string[]]> };
  readonly deadLetters: DeadLetters;
  /** Resolves when this process has seen the cluster; undefined when it has. @throws UNAVAILABLE / NOT_JOINED where it has not after a moment. */
  readonly firstView: () => Promise<void> | undefined;
  /** Asks another process for its dead letters; not given at a node. */
  readonly deadLettersOf?: (request: ListDeadLettersRequest, call: Call) => Promise<Encodable<RoutedListDeadLettersResponse>>;
  readonly clock: Clock;
  readonly random: Random;
}

/** Streams of Subscribe at a time, of a process. */
export const MAX_SUBSCRIBERS = 10_000;
/** What a letter and what names it on a page take beside its payload. */
const LETTER_BYTES = 2_048;

/** The calls of Messaging, but for Connect: the same at a node and at a gateway. Who calls is a client with an id of its own for each call. */
export class MessagingService {
  private readonly inboxes = new Set<TopicInbox>();
  private readonly space = new InboxSpace();
  private closed: TroupeError | undefined;

  readonly handlers: Handlers<typeof RoutedMessagingDefinition> = {
    send: async (request, call) => {
      await this.deps.firstView();
      const message = sendOrder(request, this.context(call));
      return awaitOutcome(
        call,
        (waiter) => this.deps.messages.send(message, waiter),
        () => ({}),
      );
    },
    request: async (request, call) => {
      await this.deps.firstView();
      const message = requestOrder(request, this.context(call));
      return awaitOutcome(
        call,
        ({ answered, failed }) => new RequestWaiter(this.deps, message, request.idempotent, answered, failed).begin(undefined),
        (content, from) => encodeMessage(RoutedRequestResponse, { payload: asBuffer(content?.bytes() ?? NOTHING), from }),
      );
    },
    broadcast: async (request, call) => {
      await this.deps.firstView();
      const { delivered, silentNodes } = await this.deps.messages.broadcast(broadcastOrder(request, this.context(call)));
      return { delivered: new Map(delivered), silentNodes: [...silentNodes] };
    },
    subscribe: (request, call) => this.subscribe(request, call),
    listTopics: async (request) => {
      await this.deps.firstView();
      return this.listTopics(request);
    },
    listDeadLetters: (request, call) => this.listDeadLetters(request, call),
  };

  constructor(private readonly deps: MessagingServiceDeps) {}

  /** Ends the streams of Subscribe, and takes no new ones. */
  close(): void {
    this.closed = new TroupeError('UNAVAILABLE', 'DRAINING', 'this process ends; subscribe again, at another one', {
      retryAfterMs: 100,
    });
    for (const inbox of this.inboxes) inbox.fail(this.closed);
  }

  private context(call: Call): MessageContext {
    const { clock, random } = this.deps;
    return {
      nowMs: clock.now(),
      callDeadlineMs: call.deadlineMs,
      from: newId('client', random),
      trace: call.trace,
    };
  }

  private async *subscribe({ topics }: SubscribeRequest, call: Call): AsyncGenerator<Encodable<RoutedSubscribeResponse>> {
    checkTopics(topics);
    if (this.closed !== undefined) throw this.closed;
    if (this.inboxes.size >= MAX_SUBSCRIBERS)
      throw new TroupeError(
        'RESOURCE_EXHAUSTED',
        'TOO_MANY_SUBSCRIBERS',
        `this process has ${MAX_SUBSCRIBERS} subscribers; ask another`,
      );
    const inbox = new TopicInbox(newId('client', this.deps.random), this.space);
    this.inboxes.add(inbox);
    // A reader that goes away ends a wait for the next message: leaving the iteration alone would not.
    call.onCancel(() => inbox.close());
    const subscribed = await Promise.allSettled(topics.map((topic) => this.deps.messages.subscribe(topic, inbox)));
    try {
      for (const each of subscribed) if (each.status === 'rejected') throw each.reason;
      yield { event: { $case: 'subscribed', value: { id: inbox.id } } };
      for await (const delivery of inbox.deliveries()) yield topicMessage(delivery);
    } finally {
      for (const each of subscribed) if (each.status === 'fulfilled') each.value.cancel();
      inbox.close();
      this.inboxes.delete(inbox);
    }
  }

  private listTopics(request: ListTopicsRequest): ListTopicsResponse {
    const { items, nextPageToken } = readPage(
      this.deps.interest.topics(),
      request,
      ([pattern]) => pattern,
      ([pattern, nodeIds]) => nodeIds.reduce((bytes, id) => bytes + id.length + 2, pattern.length + 8),
    );
    return { topics: items.map(([pattern, nodeIds]) => ({ pattern, nodeIds: [...nodeIds].sort() })), nextPageToken };
  }

  private async listDeadLetters(request: ListDeadLettersRequest, call: Call): Promise<Encodable<RoutedListDeadLettersResponse>> {
    const { deadLetters, messages, deadLettersOf } = this.deps;
    const { nodeId } = request;
    if (nodeId !== '' && nodeId !== messages.nodeId) {
      const violation = idViolation('node_id', nodeId);
      if (violation !== undefined) throw invalidArgument(violation.field, violation.description);
      if (deadLettersOf !== undefined) return deadLettersOf(request, call);
      throw new TroupeError(
        'NOT_FOUND',
        'UNKNOWN_NODE',
        `this is node "${messages.nodeId}", not "${nodeId}"; ask a gateway, which forwards`,
        { metadata: { node_id: nodeId } },
      );
    }
    const { items, nextPageToken } = readPage(
      deadLetters.youngestFirst(),
      request,
      // By number, downwards.
      ({ number }) => String(Number.MAX_SAFE_INTEGER - number).padStart(16, '0'),
      ({ bytes }) => bytes + LETTER_BYTES,
    );
    return {
      deadLetters: items.map((letter) => letterMessage(letter, messages.nodeId)),
      nextPageToken,
      total: BigInt(deadLetters.total),
    };
  }
}

const NOTHING = Buffer.alloc(0);

function topicMessage({ topic, from, content, headers }: Delivery): Buffer {
  const value = { topic, from, payload: asBuffer(content.bytes()), headers: new Map(headers) };
  return encodeMessage(RoutedSubscribeResponse, { event: { $case: 'message', value } });
}

function letterMessage({ number, timeMs, bytes: _bytes, ...letter }: DeadLetter, nodeId: string) {
  return { ...letter, number: BigInt(number), time: new Date(timeMs), nodeId };
}
