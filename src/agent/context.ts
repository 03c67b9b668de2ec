import type { Json } from '../core/json.js';
import type { Payload, PayloadInput } from '../core/payload.js';
import type { Logger } from '../telemetry/logger.js';
import type { AgentManifest } from './manifest.js';

/** What an agent knows of itself. */
export interface AgentContext<Config = unknown> {
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
}

/** What an agent has at hand while it works on a task. */
export interface TaskContext<Config = unknown, State = unknown> extends Omit<AgentContext<Config>, 'signal'> {
  /** What `start` gave. */
  readonly state: State;
  /** Aborts when the caller cancelled, the deadline passed, or the agent must end: stop working. Made on first use. */
  readonly signal: AbortSignal;
  /** Milliseconds until the caller stops waiting; never negative. */
  remainingMs(): number;
  /** W3C trace context of the task: pass it on to whatever you call. */
  readonly traceparent: string | undefined;
  /** Streams a partial result. Waits while the reader is behind; does nothing for callers that asked for the result only. */
  emit(chunk: PayloadInput): Promise<void>;
  /** Tells a streaming caller how far the work is: 0 to 1, and a few words. */
  progress(fraction: number, note?: string): Promise<void>;
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
