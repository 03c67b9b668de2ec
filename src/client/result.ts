import { TroupeError } from '../core/errors.js';
import type { Json } from '../core/json.js';
import { type Payload, payloadJson, payloadText } from '../core/payload.js';
import type { RoutedTaskEvent, RoutedTaskResult } from '../gen/troupe/internal/v1/routed.js';
import { decodePayload } from '../rpc/codec/payload.js';
import { msFromDuration } from '../rpc/codec/time.js';

/** What a task gave back, and where it ran. */
export class TaskResult {
  readonly taskId: string;
  readonly agentId: string;
  readonly nodeId: string;
  /** Above 1: earlier tries ended without the task having been done. */
  readonly attempt: number;
  /** From the task's arrival in the agent's mailbox to its completion. */
  readonly durationMs: number;
  /** The capability that did it instead of those required; '' where none did. */
  readonly fallbackCapability: string;
  /** Whether no agent did it, and this is the answer that the router is configured with. */
  readonly isDefaultAnswer: boolean;
  readonly payload: Payload;

  /** @internal */
  constructor(message: RoutedTaskResult | undefined) {
    if (message === undefined) throw new TroupeError('INTERNAL', 'EMPTY_ANSWER', 'the cluster sent an empty answer');
    this.taskId = message.taskId;
    this.agentId = message.agentId;
    this.nodeId = message.nodeId;
    this.attempt = message.attempt;
    this.durationMs = message.duration === undefined ? 0 : msFromDuration(message.duration);
    this.fallbackCapability = message.fallbackCapability;
    this.isDefaultAnswer = message.defaultAnswer;
    this.payload = decodePayload(message.payload);
  }

  /** The payload as JSON, of the shape that the caller knows the agent to give. @throws TroupeError INVALID_ARGUMENT when it is not JSON. */
  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }

  /** The payload as text. */
  text(): string {
    return payloadText(this.payload);
  }
}

/** One event of a streamed task. `cursor` grows by one with each. */
export type TaskEvent = { readonly taskId: string; readonly cursor: bigint } & (
  | { readonly kind: 'accepted' }
  | { readonly kind: 'routed'; readonly agentId: string; readonly nodeId: string; readonly attempt: number }
  | { readonly kind: 'chunk'; readonly sequence: bigint; readonly payload: Payload }
  | { readonly kind: 'progress'; readonly fraction: number; readonly note: string }
  | { readonly kind: 'result'; readonly result: TaskResult }
);

/** Undefined for an event of a newer contract. */
export function readEvent(message: RoutedTaskEvent | undefined): TaskEvent | undefined {
  if (message?.event === undefined) return undefined;
  const { taskId, cursor, event } = message;
  switch (event.$case) {
    case 'accepted':
      return { taskId, cursor, kind: 'accepted' };
    case 'routed':
      return { taskId, cursor, kind: 'routed', ...event.value };
    case 'chunk':
      return { taskId, cursor, kind: 'chunk', sequence: event.value.sequence, payload: decodePayload(event.value.payload) };
    case 'progress':
      return { taskId, cursor, kind: 'progress', ...event.value };
    case 'result':
      return { taskId, cursor, kind: 'result', result: new TaskResult(event.value) };
  }
}
