import type { TaskEvent, TaskResult } from '../client/result.js';
import { assertNever } from '../core/assert-never.js';
import { paintFor } from './colours.js';
import { formatMs } from './format-ms.js';
import type { CliIo } from './io.js';
import { printable } from './printable.js';
import { payloadObject, writePayload } from './write-payload.js';

/** Prints an event of a streamed task: what the agent gave on standard output, what is said about it on standard error. */
export function writeEvent(io: CliIo, event: TaskEvent): void {
  const say = (text: string) => io.stderr(`${paintFor(io, 'stderr')('dim', printable(text))}\n`);
  switch (event.kind) {
    case 'accepted':
      say(`accepted as ${event.taskId}`);
      break;
    case 'routed':
      say(`routed to ${event.agentId} on ${event.nodeId}, attempt ${event.attempt}`);
      break;
    case 'progress':
      say(`${Math.round(event.fraction * 100)} % ${event.note}`);
      break;
    case 'chunk':
      writePayload(io, event.payload);
      break;
    case 'result':
      writeResult(io, event.result);
      break;
    default:
      assertNever(event);
  }
}

/** Prints what a task gave back and, on standard error, where it ran. */
export function writeResult(io: CliIo, result: TaskResult): void {
  writePayload(io, result.payload);
  const { agentId, nodeId, durationMs, attempt, fallbackCapability, isDefaultAnswer } = result;
  const instead = fallbackCapability === '' ? '' : `, by the fallback ${fallbackCapability}`;
  const where = isDefaultAnswer
    ? 'no agent could take it: the default answer of the router'
    : `${agentId} on ${nodeId}, ${formatMs(durationMs)}, attempt ${attempt}${instead}`;
  io.stderr(`${paintFor(io, 'stderr')('dim', printable(where))}\n`);
}

export function eventObject(event: TaskEvent) {
  const head = { event: event.kind, taskId: event.taskId, cursor: Number(event.cursor) };
  switch (event.kind) {
    case 'accepted':
      return head;
    case 'routed':
      return { ...head, agentId: event.agentId, nodeId: event.nodeId, attempt: event.attempt };
    case 'progress':
      return { ...head, fraction: event.fraction, note: event.note };
    case 'chunk':
      return { ...head, sequence: Number(event.sequence), payload: payloadObject(event.payload) };
    case 'result':
      return { ...head, ...resultObject(event.result) };
    default:
      return assertNever(event);
  }
}

export function resultObject(result: TaskResult) {
  const { taskId, agentId, nodeId, attempt, durationMs, payload, fallbackCapability, isDefaultAnswer } = result;
  return {
    taskId,
    agentId,
    nodeId,
    attempt,
    durationMs,
    payload: payloadObject(payload),
    ...(fallbackCapability === '' ? {} : { fallbackCapability }),
    ...(isDefaultAnswer ? { defaultAnswer: true } : {}),
  };
}
