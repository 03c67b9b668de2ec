import type { MessageContext } from '../agent/context.js';
import type { AgentMessage, MessageOptions, Messenger, RequestOptions, SendOptions, Subscription } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { MAX_TIMER_MS } from '../core/clock.js';
import { deadlineExceeded } from '../core/errors.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import type { Logger } from '../telemetry/logger.js';
import { type TraceHeaders, traceHeadersOf, traceRecord } from '../telemetry/trace-headers.js';
import { type Hop, silentSpan, traceFields } from '../telemetry/tracing.js';
import type { Delivery } from './delivery.js';
import { streamOverflow } from './part-gate.js';
import type { PostBox } from './post-office.js';
import type { SharedContext } from './turn.js';

/** What the messages of an activation share. */
export interface MessageScope {
  readonly shared: SharedContext;
  readonly box: PostBox;
  readonly clock: Clock;
  /** Aborts when the agent must end at once. */
  readonly ending: AbortSignal;
  subscribe(pattern: string, handler?: (message: AgentMessage) => unknown): Promise<Subscription>;
}

/** `ctx` of one message. */
export class MessageTurn implements MessageContext {
  private messenger: Messenger | undefined = undefined;
  private traced: Logger | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private parts = 0;
  private disarm: (() => void) | undefined = undefined;
  private disarmWait: (() => void) | undefined = undefined;

  constructor(
    private readonly scope: MessageScope,
    private readonly delivery: Delivery,
    private readonly hop: Hop | undefined,
  ) {}

  get agentId() {
    return this.scope.shared.agentId;
  }
  get nodeId() {
    return this.scope.shared.nodeId;
  }
  get manifest() {
    return this.scope.shared.manifest;
  }
  get capabilities() {
    return this.scope.shared.capabilities;
  }
  get config() {
    return this.scope.shared.config;
  }
  /** With the ids of its trace, made on first use. */
  get logger() {
    const { traceparent } = this;
    if (traceparent === undefined) return this.scope.shared.logger;
    this.traced ??= this.scope.shared.logger.child(traceFields(traceparent) ?? {});
    return this.traced;
  }
  get span() {
    return this.hop?.span ?? silentSpan(this.traceparent);
  }
  get state() {
    return this.scope.shared.state;
  }
  get traceparent(): string | undefined {
    return this.hop?.traceparent ?? this.delivery.headers.get('traceparent');
  }
  get traceHeaders() {
    return traceRecord(this.trace);
  }

  /** Made on first use: a signal and a timer for each message cost more than all else about it. */
  get signal(): AbortSignal {
    if (this.controller !== undefined) return this.controller.signal;
    const controller = new AbortController();
    this.controller = controller;
    const { delivery, scope } = this;
    if (delivery.cancelled !== undefined) controller.abort(delivery.cancelled);
    delivery.onCancel = (error) => controller.abort(error);
    const onEnding = () => controller.abort(scope.ending.reason);
    scope.ending.addEventListener('abort', onEnding, { once: true });
    const ms = this.remainingMs();
    const cancelTimer = ms <= MAX_TIMER_MS ? scope.clock.after(ms, () => controller.abort(deadlineExceeded())) : undefined;
    this.disarm = () => {
      cancelTimer?.();
      scope.ending.removeEventListener('abort', onEnding);
    };
    return controller.signal;
  }

  remainingMs(): number {
    // Who only sends waits until the mailbox has it: what is done with it later, and who is told of that, is bounded by nobody.
    if (this.delivery.kind === 'send') return Number.POSITIVE_INFINITY;
    return Math.max(0, this.delivery.deadlineMs - this.scope.clock.now());
  }

  async emit(chunk: PayloadInput): Promise<void> {
    const { delivery } = this;
    if (delivery.kind !== 'request' || delivery.demand === 0 || delivery.cancelled !== undefined) return;
    if (delivery.gate?.isShut) {
      if (delivery.gate.isFull) {
        // An answer with a gap would be a wrong one.
        const error = streamOverflow();
        delivery.origin.failed(delivery, error);
        delivery.cancel(error);
        return;
      }
      this.boundWait();
    }
    this.parts += 1;
    await delivery.origin.part(delivery, this.parts, toPayload(chunk));
  }

  send(to: string, payload?: PayloadInput, options?: SendOptions): Promise<true> {
    return this.post().send(to, payload, options);
  }
  request(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.post().request(to, payload, options);
  }
  stream(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.post().stream(to, payload, options);
  }
  broadcast(topic: string, payload?: PayloadInput, options?: MessageOptions) {
    return this.post().broadcast(topic, payload, options);
  }
  subscribe(pattern: string, handler?: (message: AgentMessage) => unknown): Promise<Subscription> {
    return this.scope.subscribe(pattern, handler);
  }

  /** The message has been handled; `error`: not well. */
  end(error?: unknown): void {
    this.hop?.end(error);
    this.disarm?.();
    this.disarmWait?.();
  }

  /** Who waits for a reader that is never heard of again goes on at the deadline. */
  private boundWait(): void {
    const ms = this.remainingMs();
    if (this.disarmWait !== undefined || ms > MAX_TIMER_MS) return;
    this.disarmWait = this.scope.clock.after(ms, () => this.delivery.cancel(deadlineExceeded()));
  }

  private get trace(): TraceHeaders | undefined {
    const { headers } = this.delivery;
    return this.hop ?? (headers.size === 0 ? undefined : traceHeadersOf((name) => headers.get(name)));
  }

  private post(): Messenger {
    const { delivery } = this;
    const deadlineMs = delivery.kind === 'send' ? Number.POSITIVE_INFINITY : delivery.deadlineMs;
    this.messenger ??= this.scope.box.within({ deadlineMs, trace: this.trace });
    return this.messenger;
  }
}
