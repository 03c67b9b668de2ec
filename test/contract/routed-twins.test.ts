import { create, createFileRegistry, type DescField, type DescMessage, fromBinary, type Registry } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { descriptorSetBase64 } from '../../src/gen/descriptors.js';
import * as routed from '../../src/gen/troupe/internal/v1/routed.js';
import * as routedMessaging from '../../src/gen/troupe/internal/v1/routed_messaging.js';
import * as session from '../../src/gen/troupe/internal/v1/session.js';
import * as envelope from '../../src/gen/troupe/v1/envelope.js';
import * as messaging from '../../src/gen/troupe/v1/messaging.js';
import * as node from '../../src/gen/troupe/v1/node.js';
import { type Payload, Payload as PayloadMessage } from '../../src/gen/troupe/v1/payload.js';
import * as task from '../../src/gen/troupe/v1/task.js';
import * as tasks from '../../src/gen/troupe/v1/tasks.js';
import type { MessageType } from '../../src/rpc/service.js';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptorSetBase64, 'base64')));

const FILES = ['routed.proto', 'routed_messaging.proto', 'session.proto'];
/** Every message of these files that claims to be a twin, by the files themselves: none can be forgotten. */
const TWINS = FILES.flatMap((file) => [...messagesOf(registry, `troupe/internal/v1/${file}`)].map((twin) => twin.name));

function* messagesOf(all: ReturnType<typeof createFileRegistry>, file: string): Iterable<DescMessage> {
  yield* all.getFile(file)?.messages ?? [];
}

function messageOf(all: Registry, name: string): DescMessage {
  const found = all.getMessage(name);
  if (found === undefined) throw new Error(`no message ${name}`);
  return found;
}

/** How a field looks on the wire; a payload, which only its ends look into, is the same whether a message or bytes. */
function shapeOf(field: DescField): unknown {
  const { number, name, fieldKind } = field;
  const base = { number, name, oneof: field.oneof?.name };
  if (fieldKind === 'message') {
    if (field.message.typeName === 'troupe.v1.Payload') return { ...base, kind: 'payload' };
    return { ...base, kind: 'message', message: field.message.typeName.replace('troupe.internal.v1.Routed', 'troupe.v1.') };
  }
  if (fieldKind === 'scalar' && name === 'payload') return { ...base, kind: field.scalar === 12 ? 'payload' : field.scalar };
  if (fieldKind === 'scalar') return { ...base, kind: field.scalar };
  if (fieldKind === 'enum') return { ...base, kind: field.enum.typeName };
  if (fieldKind === 'list') {
    const message = field.message?.typeName.replace('troupe.internal.v1.Routed', 'troupe.v1.');
    return { ...base, kind: 'list', item: field.listKind, scalar: field.scalar, packed: field.packed, message };
  }
  return { ...base, kind: 'map', key: field.mapKey, value: field.mapKind, scalar: field.scalar };
}

describe('the twins of routed.proto, routed_messaging.proto and session.proto', () => {
  it('are all that the files hold, and there are some', () => {
    expect(TWINS.length).toBeGreaterThanOrEqual(20);
    for (const name of TWINS) expect(name).toMatch(/^Routed/);
  });

  it.each(TWINS)('%s has the fields of its original: numbers, names, types', (name) => {
    const twin = messageOf(registry, `troupe.internal.v1.${name}`);
    const original = messageOf(registry, `troupe.v1.${name.replace(/^Routed/, '')}`);
    expect(twin.fields.map(shapeOf)).toEqual(original.fields.map(shapeOf));
    expect(create(twin).$typeName).toBe(twin.typeName);
  });
});

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const number = fc.nat({ max: 1_000_000 });
const time = fc.date({ min: new Date('1970-01-01'), max: new Date('2200-01-01'), noInvalidDate: true });
const duration = fc.record({ seconds: fc.bigInt({ min: 0n, max: 10_000n }), nanos: fc.nat({ max: 999_999_999 }) });
const sequence = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const anyPayload = fc.record({
  content: maybe(
    fc.oneof(
      fc
        .jsonValue()
        .filter((value) => !JSON.stringify(value).includes('__proto__'))
        .map((value) => ({ $case: 'json' as const, value })),
      text.map((value) => ({ $case: 'text' as const, value })),
      fc.uint8Array({ maxLength: 20 }).map((value) => ({ $case: 'data' as const, value: Buffer.from(value) })),
    ),
  ),
  contentType: text,
}) as fc.Arbitrary<Payload>;
/** One that holds nothing at all is left out by the twin, see below. */
const payload = anyPayload.filter(({ content, contentType }) => content !== undefined || contentType !== '');

const aTask = fc.record({
  id: text,
  requiredCapabilities: fc.array(text, { maxLength: 3 }),
  agentId: text,
  payload: maybe(payload),
  deadline: maybe(time),
  strategy: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7),
  idempotent: fc.boolean(),
  labels: fc.array(fc.tuple(text, text), { maxLength: 3 }).map((entries) => new Map(entries)),
  routingKey: text,
  priority: fc.constantFrom(0, 1, 2, 3, 4),
  retry: maybe(
    fc.record({
      maxAttempts: maybe(number),
      initialBackoff: maybe(duration),
      maxBackoff: maybe(duration),
      hedgingDelay: maybe(duration),
    }),
  ),
  fallbackCapability: text,
});
const aResult = fc.record({
  taskId: text,
  agentId: text,
  nodeId: text,
  payload: maybe(payload),
  attempt: number,
  duration: maybe(duration),
  state: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7),
  fallbackCapability: text,
  defaultAnswer: fc.boolean(),
});
const aChunk = fc.record({ sequence, payload: maybe(payload) });
const progress = fc.record({ fraction: fc.double({ noNaN: true }), note: text });
const wasRouted = fc.record({ agentId: text, nodeId: text, attempt: number });
const load = fc.record({ inFlight: number, queued: number, limit: number, eventLoopDelayUs: number, cpuMillis: number });
const resume = fc.record({ taskId: text, nodeId: text, afterCursor: sequence });
const cased = <C extends string, T>($case: C, arbitrary: fc.Arbitrary<T>) => arbitrary.map((value) => ({ $case, value }));
const streamed = [
  cased('routed', wasRouted),
  cased('chunk', aChunk),
  cased('progress', progress),
  cased('result', aResult),
] as const;
const anEvent = fc.record({
  taskId: text,
  cursor: sequence,
  time: maybe(time),
  event: maybe(fc.oneof(cased('accepted', fc.constant({})), ...streamed)),
});
const tried = { task: maybe(aTask), attempt: number, routerIsolated: fc.boolean() };
const execute = fc.record(tried);
const stream = fc.record({ ...tried, firstCursor: sequence, resumeWindow: maybe(duration), resumeAfter: maybe(sequence) });
const headers = fc.array(fc.tuple(text, text), { maxLength: 3 }).map((entries) => new Map(entries));
const aTopicMessage = fc.record({ topic: text, from: text, payload: maybe(payload), headers });
const aDeadLetter = fc.record({
  number: sequence,
  time: maybe(time),
  reason: text,
  description: text,
  from: text,
  to: text,
  topic: text,
  messageId: text,
  payload: maybe(payload),
  nodeId: text,
});
const anEnvelope = fc.record({
  kind: fc.nat({ max: 11 }),
  correlationId: sequence,
  from: text,
  to: text,
  topic: text,
  payload: maybe(payload),
  deadline: maybe(time),
  id: text,
  sequence,
  hops: number,
  headers,
  error: maybe(fc.record({ code: number, message: text, details: fc.constant([]) })),
  task: maybe(aTask),
  attempt: number,
  result: maybe(aResult),
  receipts: maybe(
    fc.record({ delivered: fc.array(text, { maxLength: 3 }), refused: fc.array(text, { maxLength: 3 }), list: number }),
  ),
  streaming: fc.boolean(),
  demand: number,
  waitForRoom: fc.boolean(),
  atLeastOnce: fc.boolean(),
  fromNode: text,
  visitedNodes: fc.array(text, { maxLength: 3 }),
  progress: maybe(progress),
});
const aBatch = fc.record({ envelopes: fc.array(anEnvelope, { maxLength: 3 }), sequence });
const names = fc.array(text, { maxLength: 3 });
const both = [
  cased('batch', aBatch),
  cased('credit', fc.record({ envelopes: number, received: sequence })),
  cased('ping', fc.record({ id: sequence })),
  cased('pong', fc.record({ id: sequence })),
  cased('drain', fc.constant({})),
] as const;
const hello = fc.record({
  agentId: text,
  capabilities: names,
  topics: names,
  concurrency: number,
  mailboxCapacity: number,
  weight: number,
  metadata: headers,
  replica: fc.boolean(),
  grace: maybe(duration),
  resumeToken: text,
  received: sequence,
  credit: number,
});
const welcome = fc.record({
  id: text,
  nodeId: text,
  resumeToken: text,
  received: sequence,
  credit: number,
  grace: maybe(duration),
});

interface Pair {
  readonly original: MessageType<unknown>;
  readonly twin: MessageType<unknown>;
  readonly arbitrary: fc.Arbitrary<unknown>;
}

const pair = <T>(original: MessageType<T>, twin: unknown, arbitrary: fc.Arbitrary<unknown>): Pair => ({
  original: original as MessageType<unknown>,
  twin: twin as MessageType<unknown>,
  arbitrary,
});

const PAIRS: Readonly<Record<string, Pair>> = {
  RoutedTask: pair(task.Task, routed.RoutedTask, aTask),
  RoutedTaskResult: pair(task.TaskResult, routed.RoutedTaskResult, aResult),
  RoutedTaskChunk: pair(task.TaskChunk, routed.RoutedTaskChunk, aChunk),
  RoutedTaskEvent: pair(task.TaskEvent, routed.RoutedTaskEvent, anEvent),
  RoutedRunRequest: pair(tasks.RunRequest, routed.RoutedRunRequest, fc.record({ task: maybe(aTask) })),
  RoutedRunResponse: pair(tasks.RunResponse, routed.RoutedRunResponse, fc.record({ result: maybe(aResult) })),
  RoutedRunStreamRequest: pair(
    tasks.RunStreamRequest,
    routed.RoutedRunStreamRequest,
    fc.record({ task: maybe(aTask), resumeWindow: maybe(duration), resume: maybe(resume) }),
  ),
  RoutedRunStreamResponse: pair(tasks.RunStreamResponse, routed.RoutedRunStreamResponse, fc.record({ event: maybe(anEvent) })),
  RoutedExecuteTaskRequest: pair(node.ExecuteTaskRequest, routed.RoutedExecuteTaskRequest, execute),
  RoutedExecuteTaskResponse: pair(
    node.ExecuteTaskResponse,
    routed.RoutedExecuteTaskResponse,
    fc.record({ result: maybe(aResult), load: maybe(load) }),
  ),
  RoutedStreamTaskRequest: pair(node.StreamTaskRequest, routed.RoutedStreamTaskRequest, stream),
  RoutedStreamTaskResponse: pair(
    node.StreamTaskResponse,
    routed.RoutedStreamTaskResponse,
    fc.record({ event: maybe(fc.oneof(...streamed)), cursor: sequence, load: maybe(load) }),
  ),
  RoutedSendRequest: pair(
    messaging.SendRequest,
    routedMessaging.RoutedSendRequest,
    fc.record({
      to: text,
      payload: maybe(payload),
      id: text,
      waitForRoom: fc.boolean(),
      atLeastOnce: fc.boolean(),
      headers,
    }),
  ),
  RoutedRequestRequest: pair(
    messaging.RequestRequest,
    routedMessaging.RoutedRequestRequest,
    fc.record({ to: text, payload: maybe(payload), headers, idempotent: fc.boolean() }),
  ),
  RoutedRequestResponse: pair(
    messaging.RequestResponse,
    routedMessaging.RoutedRequestResponse,
    fc.record({ payload: maybe(payload), from: text }),
  ),
  RoutedBroadcastRequest: pair(
    messaging.BroadcastRequest,
    routedMessaging.RoutedBroadcastRequest,
    fc.record({ topic: text, payload: maybe(payload), headers }),
  ),
  RoutedSubscribeResponse: pair(
    messaging.SubscribeResponse,
    routedMessaging.RoutedSubscribeResponse,
    fc.record({ event: maybe(fc.oneof(cased('subscribed', fc.record({ id: text })), cased('message', aTopicMessage))) }),
  ),
  RoutedTopicMessage: pair(messaging.TopicMessage, routedMessaging.RoutedTopicMessage, aTopicMessage),
  RoutedListDeadLettersResponse: pair(
    messaging.ListDeadLettersResponse,
    routedMessaging.RoutedListDeadLettersResponse,
    fc.record({ deadLetters: fc.array(aDeadLetter, { maxLength: 3 }), nextPageToken: text, total: sequence }),
  ),
  RoutedDeadLetter: pair(messaging.DeadLetter, routedMessaging.RoutedDeadLetter, aDeadLetter),
  RoutedEnvelope: pair(envelope.Envelope, session.RoutedEnvelope, anEnvelope),
  RoutedBatch: pair(messaging.Batch, session.RoutedBatch, aBatch),
  RoutedConnectRequest: pair(
    messaging.ConnectRequest,
    session.RoutedConnectRequest,
    fc.record({
      frame: maybe(
        fc.oneof(
          ...both,
          cased('hello', hello),
          cased('subscriptions', fc.record({ subscribe: names, unsubscribe: names, id: sequence })),
        ),
      ),
    }),
  ),
  RoutedConnectResponse: pair(
    messaging.ConnectResponse,
    session.RoutedConnectResponse,
    fc.record({
      frame: maybe(
        fc.oneof(...both, cased('welcome', welcome), cased('subscriptions', fc.record({ topics: names, id: sequence }))),
      ),
    }),
  ),
};

describe('what goes through a twin', () => {
  it('is tested for each of them', () => {
    expect(Object.keys(PAIRS).sort()).toEqual([...TWINS].sort());
  });

  it.each(Object.keys(PAIRS))('%s comes out as it went in', (name) => {
    const { original, twin, arbitrary } = PAIRS[name] ?? pair(PayloadMessage, PayloadMessage, payload);
    fc.assert(
      fc.property(arbitrary, (message) => {
        const bytes = original.encode(message).finish();
        const through = twin.encode(twin.decode(bytes)).finish();
        expect(original.decode(through)).toEqual(original.decode(bytes));
      }),
    );
  });

  it('may lose only a payload that holds nothing: absent and empty mean the same', () => {
    const bytes = task.Task.encode(task.Task.fromPartial({ id: 'a', payload: {} })).finish();
    const through = task.Task.decode(routed.RoutedTask.encode(routed.RoutedTask.decode(bytes)).finish());
    expect(through).toEqual(task.Task.fromPartial({ id: 'a' }));
  });
});
