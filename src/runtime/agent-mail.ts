import type { AgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import type { AgentMessage, Subscription } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { messageOf, TroupeError } from '../core/errors.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import type { Logger } from '../telemetry/logger.js';
import { isUnsampled } from '../telemetry/trace-context.js';
import { traceHeadersOf } from '../telemetry/trace-headers.js';
import { type Hop, SpanKind, type Tracing, traceFields } from '../telemetry/tracing.js';
import { Delivery, type Recipient } from './delivery.js';
import { MessageMailbox } from './message-mailbox.js';
import { type MessageScope, MessageTurn } from './message-turn.js';
import type { PostBox, PostOffice } from './post-office.js';
import { notStarted } from './refusals.js';
import type { SharedContext, TurnTalk } from './turn.js';

export interface AgentMailOptions {
  readonly manifest: AgentManifest;
  readonly receive: AgentDefinition['receive'];
  readonly scope: () => SharedContext;
  /** Aborts when the agent must end at once. */
  readonly ending: AbortSignal;
  /** What the asker sees of what the agent threw. */
  readonly answerError: (error: unknown) => TroupeError;
  /** Why the agent takes nothing now; undefined when it does. */
  readonly notRunning: () => TroupeError | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: Tracing | undefined;
}

type Handler = NonNullable<AgentDefinition['receive']>;

/** The messages of one agent: its mailbox, its subscriptions, and how it talks. */
export class AgentMail implements Recipient, TurnTalk, MessageScope {
  readonly id: string;
  readonly box: PostBox;
  private readonly mailbox: MessageMailbox;
  private readonly handlers = new WeakMap<Delivery, Handler>();
  private hasHandlers = false;

  constructor(
    private readonly options: AgentMailOptions,
    post: PostOffice,
  ) {
    const { id, mailboxCapacity, concurrency } = options.manifest;
    this.id = id;
    const now = () => options.clock.now();
    this.mailbox = new MessageMailbox({ agentId: id, capacity: mailboxCapacity, concurrency, now }, (delivery) =>
      this.handle(delivery),
    );
    this.box = post.open(this);
  }

  get shared(): SharedContext {
    return this.options.scope();
  }
  get clock(): Clock {
    return this.options.clock;
  }
  get ending(): AbortSignal {
    return this.options.ending;
  }

  counts() {
    const { inFlight, queued, handled, refused } = this.mailbox;
    return { inFlight, queued, handled, refused };
  }

  offer(delivery: Delivery): undefined | 'parked' | TroupeError {
    const notRunning = this.options.notRunning();
    if (notRunning !== undefined) return notRunning;
    return this.options.receive === undefined ? this.deaf() : this.mailbox.offer(delivery);
  }

  async subscribe(pattern: string, handler?: (message: AgentMessage) => unknown): Promise<Subscription> {
    if (handler === undefined) {
      if (this.options.receive === undefined) throw this.deaf();
      return this.box.subscribe(pattern);
    }
    this.hasHandlers = true;
    return this.box.subscribe(pattern, {
      id: this.id,
      offer: (delivery) => {
        const notRunning = this.options.notRunning();
        if (notRunning !== undefined) return notRunning;
        // Others get the same one.
        const own = new Delivery(delivery, delivery.origin);
        this.handlers.set(own, handler);
        return this.mailbox.offer(own);
      },
    });
  }

  /** Takes nothing new; what has come is handled. */
  close(): void {
    this.mailbox.close();
  }

  whenIdle(): Promise<void> {
    return this.mailbox.whenIdle();
  }

  /** Gives up what waits, and takes the agent out of reach. */
  end(why: string): void {
    this.mailbox.close();
    this.box.close();
    this.mailbox.clear(
      new TroupeError(
        'UNAVAILABLE',
        'AGENT_STOPPED',
        `agent "${this.id}" ended before it handled the message: ${why}`,
        notStarted(this.id),
      ),
    );
  }

  private handle(delivery: Delivery): Promise<void> | undefined {
    const handler = (this.hasHandlers ? this.handlers.get(delivery) : undefined) ?? (this.options.receive as Handler);
    const hop = this.hopOf(delivery);
    const turn = new MessageTurn(this, delivery, hop);
    let given: unknown;
    let work: Promise<unknown> | undefined;
    try {
      given = hop === undefined ? handler(delivery, turn) : hop.run(() => handler(delivery, turn));
      if (isThenable(given)) work = Promise.resolve(given);
    } catch (error) {
      this.failed(delivery, turn, error);
      return undefined;
    }
    if (work !== undefined) {
      return work.then(
        (answer: unknown) => this.answer(delivery, turn, answer),
        (error: unknown) => this.failed(delivery, turn, error),
      );
    }
    this.answer(delivery, turn, given);
    return undefined;
  }

  private answer(delivery: Delivery, turn: MessageTurn, answer: unknown): void {
    turn.end();
    if (delivery.kind !== 'request') return;
    if (delivery.cancelled !== undefined) {
      delivery.origin.failed(delivery, delivery.cancelled);
      return;
    }
    try {
      delivery.origin.answered(delivery, toPayload(answer as PayloadInput));
    } catch (error) {
      // The asker's question was right: it is the agent's answer that is not.
      const why = `agent "${this.id}" gave an answer that cannot be sent: ${messageOf(error)}`;
      this.options.logger.warn('agent gave an answer that cannot be sent', { from: delivery.from, reason: messageOf(error) });
      delivery.origin.failed(delivery, new TroupeError('UNKNOWN', 'AGENT_ERROR', why, { metadata: { agent_id: this.id } }));
    }
  }

  private failed(delivery: Delivery, turn: MessageTurn, thrown: unknown): void {
    turn.end(thrown);
    const error = this.options.answerError(thrown);
    if (!(thrown instanceof TroupeError) && delivery.cancelled === undefined)
      this.options.logger.warn('agent failed a message', {
        from: delivery.from,
        topic: delivery.topic,
        error: thrown,
        ...traceFields(turn.traceparent),
      });
    if (delivery.kind === 'request') delivery.origin.failed(delivery, error);
    else delivery.origin.lost(delivery, error, this.id);
  }

  /** The part of the trace that handling it is, by OpenTelemetry's conventions for messaging (1.45). A message begins no trace: there are too many of them. */
  private hopOf({ id, kind, headers, topic, from }: Delivery): Hop | undefined {
    const { tracing, manifest } = this.options;
    if (tracing === undefined || headers.size === 0) return undefined;
    const traceparent = headers.get('traceparent');
    if (traceparent === undefined || isUnsampled(traceparent)) return undefined;
    return tracing.follow(`troupe.message ${manifest.kind}`, {
      kind: SpanKind.CONSUMER,
      parent: traceHeadersOf((name) => headers.get(name)),
      attributes: {
        'messaging.system': 'troupe',
        'messaging.operation.type': 'process',
        'messaging.operation.name': 'receive',
        'messaging.destination.name': topic === '' ? this.id : topic,
        'messaging.message.id': id,
        'troupe.message.kind': topic === '' ? kind : 'broadcast',
        'troupe.agent.id': this.id,
        'troupe.message.from': from,
      },
    });
  }

  private deaf(): TroupeError {
    return new TroupeError(
      'FAILED_PRECONDITION',
      'NO_RECEIVE',
      `agent "${this.id}" takes no messages: its kind defines no \`receive\``,
      notStarted(this.id),
    );
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
