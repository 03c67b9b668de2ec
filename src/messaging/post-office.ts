import type { MessageOptions, Messenger, Reply, RequestOptions, SendOptions, Subscription } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS } from '../core/deadline.js';
import { abortError, invalidArgument, type TroupeError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { PARTS_WINDOW } from '../core/parts.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import type { Random } from '../core/random.js';
import type { Content, Recipient } from '../runtime/delivery.js';
import type { PostBox, PostOffice, SendingContext } from '../runtime/post-office.js';
import { traceWithin } from '../telemetry/trace-headers.js';
import { AnswerParts } from './answer-parts.js';
import { headersOf, NO_HEADERS } from './headers.js';
import type { Messages } from './messages.js';
import type { OutgoingMessage, Waiter } from './outgoing.js';
import { ContentReply } from './reply.js';
import { RequestWaiter } from './request-waiter.js';

export interface PostDeps {
  readonly messages: Messages;
  readonly clock: Clock;
  readonly random: Random;
}

/** Lets agents of this process talk. */
export class AgentPostOffice implements PostOffice {
  constructor(private readonly deps: PostDeps) {}

  open(recipient: Recipient): PostBox {
    return new AgentPostBox(recipient, this.deps);
  }
}

const EVER: SendingContext = { deadlineMs: Number.POSITIVE_INFINITY, trace: undefined };

/** How one agent or client talks. */
export class Sender implements Messenger {
  constructor(
    private readonly from: string,
    private readonly deps: PostDeps,
    private readonly context: SendingContext = EVER,
  ) {}

  send(to: string, payload?: PayloadInput, options?: SendOptions): Promise<true> {
    return new Promise((resolve, reject) => {
      const message = this.message(to, '', payload, options, 0);
      this.deps.messages.send(message, new SendWaiter(resolve, reject));
    });
  }

  request(to: string, payload?: PayloadInput, options?: RequestOptions): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const message = this.message(to, '', payload, options, 0);
      const onAnswer = (content: Content | undefined, from: string) => resolve(new ContentReply(content, from));
      new RequestWaiter(this.deps, message, options?.idempotent ?? false, onAnswer, reject).begin(options?.signal);
    });
  }

  async *stream(to: string, payload?: PayloadInput, options?: RequestOptions): AsyncGenerator<Reply, Reply, undefined> {
    if (options?.signal?.aborted) throw abortError(options.signal);
    const parts = new AnswerParts(to);
    const pending = this.deps.messages.request(this.message(to, '', payload, options, PARTS_WINDOW), parts);
    return yield* parts.read(pending, options?.signal);
  }

  async broadcast(topic: string, payload?: PayloadInput, options?: MessageOptions): Promise<ReadonlyMap<string, boolean>> {
    const { delivered } = await this.deps.messages.broadcast(this.message('', topic, payload, options, 0));
    return delivered;
  }

  /** @throws INVALID_ARGUMENT naming the option that is wrong. */
  private message(
    to: string,
    topic: string,
    payload: PayloadInput,
    options: SendOptions | undefined,
    demand: number,
  ): OutgoingMessage {
    const now = this.deps.clock.now();
    const { deadlineMs, trace } = this.context;
    if (options === undefined) {
      return {
        from: this.from,
        to,
        topic,
        content: toPayload(payload),
        deadlineMs: Math.min(now + DEFAULT_DEADLINE_MS, deadlineMs),
        id: '',
        headers: trace === undefined ? NO_HEADERS : headersOf(undefined, trace),
        waitForRoom: false,
        atLeastOnce: false,
        demand,
      };
    }
    const { waitForRoom = false, atLeastOnce = false, id = atLeastOnce ? newId('m', this.deps.random) : '' } = options;
    if (id.length > MAX_ID_CHARS) throw invalidArgument('id', `must be at most ${MAX_ID_CHARS} characters`);
    return {
      from: this.from,
      to,
      topic,
      content: toPayload(payload),
      deadlineMs: Math.min(now + timeoutOf(options), deadlineMs),
      id,
      headers: headersOf(options.headers, traceWithin(options, trace)),
      waitForRoom,
      atLeastOnce,
      demand,
    };
  }
}

const MAX_ID_CHARS = 63;

function timeoutOf({ timeoutMs = DEFAULT_DEADLINE_MS }: MessageOptions): number {
  if (!(timeoutMs > 0 && timeoutMs <= MAX_DEADLINE_MS))
    throw invalidArgument('timeoutMs', 'must be a number of milliseconds, more than 0 and at most an hour');
  return timeoutMs;
}

class AgentPostBox extends Sender implements PostBox {
  private readonly detach: () => void;
  private readonly subscriptions = new Set<Subscription>();
  private isClosed = false;

  constructor(
    private readonly recipient: Recipient,
    private readonly post: PostDeps,
  ) {
    super(recipient.id, post);
    this.detach = post.messages.attach(recipient);
  }

  within(context: SendingContext): Messenger {
    return new Sender(this.recipient.id, this.post, context);
  }

  async subscribe(pattern: string, recipient: Recipient = this.recipient): Promise<Subscription> {
    const given = await this.post.messages.subscribe(pattern, recipient);
    if (this.isClosed) given.cancel();
    const own: Subscription = {
      pattern,
      cancel: () => {
        this.subscriptions.delete(own);
        given.cancel();
      },
    };
    this.subscriptions.add(own);
    return own;
  }

  close(): void {
    this.isClosed = true;
    for (const subscription of [...this.subscriptions]) subscription.cancel();
    this.detach();
  }
}

class SendWaiter implements Waiter {
  constructor(
    private readonly resolve: (taken: true) => void,
    readonly failed: (error: TroupeError) => void,
  ) {}

  answered(): void {
    this.resolve(true);
  }
}
