import { MAX_HEADERS } from '../agent/messages.js';
import { effectiveDeadline } from '../core/deadline.js';
import { deadlineExceeded, type FieldViolation, invalidFields } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import { MAX_PAYLOAD_BYTES } from '../core/payload.js';
import { patternViolation, topicViolation } from '../core/topic.js';
import type {
  RoutedBroadcastRequest,
  RoutedRequestRequest,
  RoutedSendRequest,
} from '../gen/troupe/internal/v1/routed_messaging.js';
import { FrameContent } from '../link/frame-content.js';
import { addTraceHeaders, type TraceHeaders } from '../telemetry/trace-headers.js';
import { headerViolations } from './headers.js';
import type { OutgoingMessage } from './outgoing.js';

/** Requests of unary calls, checked, as messages. */

const MAX_ID_CHARS = 63;
const MAX_TOPICS = 64;

export interface MessageContext {
  readonly nowMs: number;
  /** Of the call; Infinity when it has none. */
  readonly callDeadlineMs: number;
  /** Who sends it. */
  readonly from: string;
  /** Of the call: goes with the message, unless that has its own. */
  readonly trace: TraceHeaders | undefined;
}

/** @throws INVALID_ARGUMENT naming every wrong field; DEADLINE_EXCEEDED when the call's deadline has passed. */
export function sendOrder(request: RoutedSendRequest, context: MessageContext): OutgoingMessage {
  const { to, id, atLeastOnce, waitForRoom } = request;
  check([
    idViolation('to', to),
    id.length > MAX_ID_CHARS ? { field: 'id', description: `must be at most ${MAX_ID_CHARS} characters` } : undefined,
    atLeastOnce && id === ''
      ? { field: 'id', description: 'is required by at_least_once: by it the receiver knows what it has got already' }
      : undefined,
    ...contentViolations(request),
  ]);
  return { ...order(request, context), to, id, atLeastOnce, waitForRoom };
}

/** @throws as sendOrder. */
export function requestOrder(request: RoutedRequestRequest, context: MessageContext): OutgoingMessage {
  check([idViolation('to', request.to), ...contentViolations(request)]);
  return { ...order(request, context), to: request.to };
}

/** @throws as sendOrder. */
export function broadcastOrder(request: RoutedBroadcastRequest, context: MessageContext): OutgoingMessage {
  check([topicViolation('topic', request.topic), ...contentViolations(request)]);
  const message = order(request, context);
  return { ...message, topic: request.topic, deadlineMs: earlier(message.deadlineMs, context.nowMs) };
}

/** Topics that are subscribed to. @throws INVALID_ARGUMENT naming every wrong one. */
export function checkTopics(topics: readonly string[]): void {
  if (topics.length === 0 || topics.length > MAX_TOPICS)
    throw invalidFields([{ field: 'topics', description: `name 1 to ${MAX_TOPICS} topics, not ${topics.length}` }]);
  check(
    topics.map((topic, index) =>
      topics.indexOf(topic) < index
        ? { field: `topics[${index}]`, description: `"${topic}" is given twice` }
        : patternViolation(`topics[${index}]`, topic),
    ),
  );
}

interface Contents {
  readonly payload: Buffer;
  readonly headers: ReadonlyMap<string, string>;
}

function order({ payload, headers }: Contents, { nowMs, callDeadlineMs, from, trace }: MessageContext): OutgoingMessage {
  const deadlineMs = effectiveDeadline(nowMs, callDeadlineMs);
  if (deadlineMs <= nowMs) throw deadlineExceeded('the deadline of the call has passed already');
  return {
    from,
    to: '',
    topic: '',
    content: new FrameContent(payload, 0, payload.length),
    deadlineMs,
    id: '',
    headers: withTrace(headers, trace),
    waitForRoom: false,
    atLeastOnce: false,
    demand: 0,
  };
}

function withTrace(headers: ReadonlyMap<string, string>, trace: TraceHeaders | undefined): ReadonlyMap<string, string> {
  if (trace === undefined) return headers;
  const all = new Map(headers);
  addTraceHeaders(all, trace, MAX_HEADERS);
  return all;
}

const MAX_MARGIN_MS = 100;

/** What was heard until then can still be told to the caller. */
function earlier(deadlineMs: number, nowMs: number): number {
  return deadlineMs - Math.min(MAX_MARGIN_MS, (deadlineMs - nowMs) / 10);
}

function contentViolations({ payload, headers }: Contents): FieldViolation[] {
  const violations = headerViolations('headers', headers);
  if (payload.length > MAX_PAYLOAD_BYTES)
    violations.push({
      field: 'payload',
      description: `must be at most ${MAX_PAYLOAD_BYTES} bytes, encoded; got ${payload.length}`,
    });
  return violations;
}

function check(found: readonly (FieldViolation | undefined)[]): void {
  const violations = found.filter((violation) => violation !== undefined);
  if (violations.length > 0) throw invalidFields(violations);
}
