import type { AgentTask, TaskContext } from '../agent/context.js';
import type { AgentMessage } from '../agent/messages.js';
import { asBuffer } from '../core/bytes.js';
import { TroupeError } from '../core/errors.js';
import type { RoutedTask } from '../gen/troupe/internal/v1/routed.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { Priority } from '../gen/troupe/v1/task.js';
import { envelopeBytes } from '../link/session-frames.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { MAX_MESSAGE_BYTES } from '../rpc/server.js';
import { Delivery } from '../runtime/delivery.js';

/** What a frame needs beside its one envelope. */
const FRAME_BYTES = 64;

/** A task as its program gets it. @throws RESOURCE_EXHAUSTED / TASK_TOO_LARGE. */
export function taskEnvelope(
  task: AgentTask,
  context: TaskContext,
  { correlationId, demand, nowMs }: { readonly correlationId: number; readonly demand: number; readonly nowMs: number },
): Buffer {
  const deadline = new Date(nowMs + context.remainingMs());
  const { id, attempt, requiredCapabilities, labels } = task;
  const routed: RoutedTask = {
    ...BLANK_TASK,
    id,
    requiredCapabilities: [...requiredCapabilities],
    agentId: context.agentId,
    payload: encodePayload(task.payload),
    deadline,
    labels: new Map(labels),
  };
  const headers = new Map(Object.entries(context.traceHeaders));
  return fitting(
    envelopeBytes({
      kind: EnvelopeKind.ENVELOPE_KIND_TASK,
      correlationId: BigInt(correlationId),
      deadline,
      task: routed,
      attempt,
      streaming: demand > 0,
      demand,
      headers,
    }),
    'TASK_TOO_LARGE',
    'the task',
  );
}

/** A message as its program gets it; `traceparent`: of its node's span, if it has one. @throws RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE. */
export function messageEnvelope(message: AgentMessage, correlationId: number, demand: number, traceparent?: string): Buffer {
  const isRequest = message.kind === 'request';
  const delivery = message instanceof Delivery ? message : undefined;
  const headers = new Map(message.headers);
  if (traceparent !== undefined) headers.set('traceparent', traceparent);
  return fitting(
    envelopeBytes({
      kind: isRequest ? EnvelopeKind.ENVELOPE_KIND_REQUEST : EnvelopeKind.ENVELOPE_KIND_SEND,
      correlationId: BigInt(correlationId),
      from: message.from,
      to: delivery?.to ?? '',
      topic: message.topic,
      payload: asBuffer(delivery?.content.bytes() ?? encodePayload(message.payload)),
      deadline: delivery === undefined ? undefined : new Date(delivery.deadlineMs),
      id: message.id,
      headers,
      streaming: demand > 0,
      demand,
    }),
    'MESSAGE_TOO_LARGE',
    'the message',
  );
}

function fitting(envelope: Buffer, reason: string, what: string): Buffer {
  if (envelope.length <= MAX_MESSAGE_BYTES - FRAME_BYTES) return envelope;
  throw new TroupeError(
    'RESOURCE_EXHAUSTED',
    reason,
    `${what} has ${envelope.length} bytes as its agent would get it; at most ${MAX_MESSAGE_BYTES - FRAME_BYTES} can be sent`,
  );
}

const BLANK_TASK: RoutedTask = {
  id: '',
  requiredCapabilities: [],
  agentId: '',
  payload: Buffer.alloc(0),
  deadline: undefined,
  strategy: 0,
  idempotent: false,
  labels: new Map(),
  routingKey: '',
  priority: Priority.PRIORITY_UNSPECIFIED,
  retry: undefined,
  fallbackCapability: '',
};
