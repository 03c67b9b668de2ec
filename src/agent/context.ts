import type { Span } from '@opentelemetry/api';
import type { Json } from '../core/json.js';
import type { Payload, PayloadInput } from '../core/payload.js';
import type { Logger } from '../telemetry/logger.js';
import type { AgentManifest } from './manifest.js';
import type { AgentMessage, Messenger, Subscription } from './messages.js';

/** What an agent knows of itself, and how it talks. */
export interface AgentContext<Config = unknown> extends Messenger {
  readonly agentId: string;
  readonly nodeId: string;
  readonly manifest: AgentManifest;
  /** What it offers: the manifest's capabilities, or its kind's. */
  readonly capabilities: readonly string[];
  readonly config: Config;
  /** Logs with the agent's id. */
  readonly logger: Logger;
  /** Aborts when the agent must end at once. */
  readonly signal: AbortSignal;
  /**
   * Gets what is broadcast to a topic from now on, in which "*" stands for one name and ">" at the end for one or more, until it is cancelled or the agent ends.
   * Resolves when the cluster knows. `handler` gets it instead of the agent's `receive`, in the agent's mailbox like all its messages.
   * @throws INVALID_ARGUMENT (the pattern), UNAVAILABLE (the registry is not reached), FAILED_PRECONDITION (there is neither `handler` nor `receive`).
   */
  subscribe(pattern: string, handler?: (message: AgentMessage) => unknown): Promise<Subscription>;
}

/** What an agent has at hand while it works on a task. */
export interface TaskContext<Config = unknown, State = unknown> extends Omit<AgentContext<Config>, 'signal'> {
  /** What `start` gave. */
  readonly state: State;
  /** Aborts when the caller cancelled, the deadline passed, or the agent must end: stop working. Made on first use. */
  readonly signal: AbortSignal;
  /** Milliseconds until the caller stops waiting; never negative. */
  remainingMs(): number;
  /** W3C trace context of the task. */
  readonly traceparent: string | undefined;
  /** `traceparent`, `tracestate` and `baggage`, as far as they are there: pass them on to whatever you call, as headers or to the SDK as options. */
  readonly traceHeaders: Readonly<Record<string, string>>;
  /**
   * The span of this work, for attributes and events; records nothing where the trace is not sampled. From Node.js 24 on it is also the active one, below which
   * OpenTelemetry makes others; before, `trace.setSpan(context.active(), ctx.span)` is what to give to `startSpan`.
   */
  readonly span: Span;
  /** Streams a partial result. Waits while the reader is behind; does nothing for callers that asked for the result only. */
  emit(chunk: PayloadInput): Promise<void>;
  /** Tells a streaming caller how far the work is: 0 to 1, and a few words. */
  progress(fraction: number, note?: string): Promise<void>;
}

/** What an agent has at hand while it handles a message. */
export interface MessageContext<Config = unknown, State = unknown> extends Omit<AgentContext<Config>, 'signal'> {
  /** What `start` gave. */
  readonly state: State;
  /** Aborts when the agent must end, and, where an answer is wanted, when nobody waits for it any more or its deadline passed. Made on first use. */
  readonly signal: AbortSignal;
  /** Milliseconds until the sender stops waiting for the answer, never negative; Infinity where none is wanted. */
  remainingMs(): number;
  /** W3C trace context of the message; goes on with all that is sent from here. */
  readonly traceparent: string | undefined;
  /** `traceparent`, `tracestate` and `baggage`, as far as they are there; they go on with all that is sent from here. */
  readonly traceHeaders: Readonly<Record<string, string>>;
  /**
   * The span of this work, for attributes and events; records nothing where the trace is not sampled. From Node.js 24 on it is also the active one, below which
   * OpenTelemetry makes others; before, `trace.setSpan(context.active(), ctx.span)` is what to give to `startSpan`.
   */
  readonly span: Span;
  /** Gives a part of the answer. Waits while the reader is behind; does nothing where only the answer is wanted. */
  emit(chunk: PayloadInput): Promise<void>;
}

/** A task as its agent sees it. */
export interface AgentTask {
  readonly id: string;
  /** Which try this is, from 1. Above 1 an earlier try may have been begun elsewhere. */
  readonly attempt: number;
  /** What the caller required. */
  readonly requiredCapabilities: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly payload: Payload;
  /** The payload as JSON. @throws TroupeError INVALID_ARGUMENT when it is not JSON. */
  json<T = Json>(): T;
  /** The payload as text. */
  text(): string;
}
