import type { MessageOptions, RequestOptions } from '../agent/messages.js';
import { abortError, TroupeError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import { systemRandom } from '../core/random.js';
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
  ListTopicsRequest,
  ListTopicsResponse,
  SubscribeRequest,
} from '../gen/troupe/v1/messaging.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { encodeMessage } from '../rpc/encode.js';
import type { RawClient } from '../rpc/raw-client.js';
import type { MessageType } from '../rpc/service.js';
import { callOptions, DEADLINE_GRACE_MS, late, PAGE_SIZE, type TimedOptions } from './call-options.js';
import {
  Answer,
  type BroadcastOptions,
  type ClientSendOptions,
  DeadLetter,
  type DeadLetterList,
  Receipts,
  type SubscribeOptions,
  type TopicInterest,
  TopicMessage,
} from './messages.js';

/** Calls of troupe.v1.Messaging. Payloads are encoded here, and decoded here. */
export class MessageCalls {
  constructor(
    private readonly raw: RawClient,
    /** Aborts when the client is closed. */
    private readonly closing: AbortSignal,
  ) {}

  async send(to: string, input: PayloadInput, options: ClientSendOptions): Promise<true> {
    const { id = '', waitForRoom = false, atLeastOnce = false } = options;
    const request = encodeMessage(RoutedSendRequest, {
      to,
      ...content(input, options),
      id: atLeastOnce && id === '' ? newId('message', systemRandom) : id,
      waitForRoom,
      atLeastOnce,
    });
    await this.unary('Send', request, options, `agent "${to}" did not take the message`);
    return true;
  }

  async request(to: string, input: PayloadInput, options: RequestOptions): Promise<Answer> {
    const { idempotent = false } = options;
    const request = encodeMessage(RoutedRequestRequest, { to, ...content(input, options), idempotent });
    const answer = await this.unary('Request', request, options, `agent "${to}" did not answer`);
    return new Answer(RoutedRequestResponse.decode(answer));
  }

  async broadcast(topic: string, input: PayloadInput, options: BroadcastOptions): Promise<Receipts> {
    const request = encodeMessage(RoutedBroadcastRequest, { topic, ...content(input, options) });
    const receipts = await this.unary('Broadcast', request, options, `the subscribers of "${topic}" did not answer`);
    return new Receipts(BroadcastResponse.decode(receipts));
  }

  async *subscribe(
    topics: readonly string[],
    { signal, onSubscribed }: SubscribeOptions,
  ): AsyncGenerator<TopicMessage, void, undefined> {
    const request = encodeMessage(SubscribeRequest, { topics: [...topics] });
    const ends = signal === undefined ? this.closing : AbortSignal.any([signal, this.closing]);
    const options = { deadlineMs: Number.POSITIVE_INFINITY, signal: ends };
    for await (const response of this.raw.serverStream(`${SERVICE}/Subscribe`, request, options)) {
      const { event } = RoutedSubscribeResponse.decode(response);
      if (event?.$case === 'subscribed') onSubscribed?.(event.value.id);
      else if (event?.$case === 'message') yield new TopicMessage(event.value);
    }
  }

  async topics(timeoutMs: number): Promise<TopicInterest[]> {
    const all: TopicInterest[] = [];
    for await (const page of this.pages('ListTopics', ListTopicsRequest, { pageSize: PAGE_SIZE }, ListTopicsResponse, timeoutMs))
      all.push(...page.topics);
    return all;
  }

  async deadLetters(nodeId: string, most: number, timeoutMs: number): Promise<DeadLetterList> {
    const letters: DeadLetter[] = [];
    let total = 0;
    const pages = this.pages(
      'ListDeadLetters',
      ListDeadLettersRequest,
      { nodeId, pageSize: Math.min(most, PAGE_SIZE) },
      RoutedListDeadLettersResponse,
      timeoutMs,
    );
    for await (const page of pages) {
      total = Number(page.total);
      letters.push(...page.deadLetters.slice(0, most - letters.length).map((letter) => new DeadLetter(letter)));
      if (letters.length >= most) break;
    }
    return { letters, total };
  }

  private async *pages<Request extends { pageToken: string }, Page extends { nextPageToken: string }>(
    method: string,
    requestType: MessageType<Request>,
    request: Omit<Request, 'pageToken'>,
    responseType: MessageType<Page>,
    timeoutMs: number,
  ): AsyncGenerator<Page, void, undefined> {
    let pageToken = '';
    do {
      const bytes = encodeMessage(requestType, { ...request, pageToken } as Request);
      const page = responseType.decode(await this.unary(method, bytes, { timeoutMs }, `${method} was not answered`));
      yield page;
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }

  private unary(method: string, request: Buffer, options: CancellableOptions, missing: string): Promise<Buffer> {
    return cancellable(this.raw, { path: `${SERVICE}/${method}`, request, missing }, options);
  }
}

const SERVICE = '/troupe.v1.Messaging';

export interface CancellableCall {
  readonly path: string;
  readonly request: Buffer;
  /** What has not happened when its deadline passes. */
  readonly missing: string;
}

export interface CancellableOptions extends TimedOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A unary call that `signal` calls off. @throws TroupeError */
export async function cancellable(
  raw: RawClient,
  { path, request, missing }: CancellableCall,
  options: CancellableOptions,
): Promise<Buffer> {
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const call = raw.unary(path, request, { ...callOptions(options), graceMs: DEADLINE_GRACE_MS });
  signal?.addEventListener('abort', call.cancel, { once: true });
  try {
    return await call.response;
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : late(error, missing, options);
  } finally {
    signal?.removeEventListener('abort', call.cancel);
  }
}

function content(input: PayloadInput, { headers = {} }: MessageOptions) {
  for (const [key, value] of Object.entries(headers))
    if (typeof value !== 'string')
      throw new TroupeError('INVALID_ARGUMENT', 'INVALID_FIELD', `headers["${key}"]: must be a string`);
  return { payload: encodePayload(toPayload(input)), headers: new Map(Object.entries(headers)) };
}
