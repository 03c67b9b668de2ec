import { beforeEach, describe, expect, it } from '@jest/globals';
import { connect, type TroupeClient } from '../../../src/client/client.js';
import { systemClock } from '../../../src/core/clock.js';
import { TroupeError } from '../../../src/core/errors.js';
import { MAX_PAYLOAD_BYTES } from '../../../src/core/payload.js';
import { systemRandom } from '../../../src/core/random.js';
import { MessagingDefinition } from '../../../src/gen/troupe/v1/messaging.js';
import { FrameContent } from '../../../src/link/frame-content.js';
import { DeadLetters } from '../../../src/messaging/dead-letters.js';
import {
  MessagingService,
  type MessagingServiceDeps,
  RoutedMessagingDefinition,
} from '../../../src/messaging/messaging-service.js';
import { openChannel } from '../../../src/rpc/channels.js';
import { createClient } from '../../../src/rpc/client.js';
import { RpcServer } from '../../../src/rpc/server.js';
import type { Delivery } from '../../../src/runtime/delivery.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { LocalMessages, recipient } from './local-messages.js';

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

let messages: LocalMessages;
let deadLetters: DeadLetters;
let service: MessagingService;
let address: string;
let troupe: TroupeClient;
let topics: [string, string[]][];

async function serve(more: Partial<MessagingServiceDeps> = {}): Promise<void> {
  messages = new LocalMessages();
  deadLetters = new DeadLetters(systemClock);
  topics = [];
  const interest = { topics: () => topics };
  const firstView = () => undefined;
  service = new MessagingService({
    messages,
    interest,
    deadLetters,
    firstView,
    clock: systemClock,
    random: systemRandom,
    ...more,
  });
  const server = new RpcServer({ logger: silentLogger });
  server.mount(RoutedMessagingDefinition, service.handlers);
  address = `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
  cleanUp(() => server.shutdown(0));
  troupe = connect(address);
  cleanUp(() => troupe.close());
}

beforeEach(() => serve());

/** A client that says what it likes. */
function raw() {
  const channel = openChannel(address);
  cleanUp(() => channel.close());
  return createClient(MessagingDefinition, channel);
}

const answering = (answer: (delivery: Delivery) => void) =>
  recipient('agent-1', (delivery) => {
    queueMicrotask(() => answer(delivery));
    return undefined;
  });

describe('Send', () => {
  it('answers when the mailbox has it, and tells the agent what there is to tell', async () => {
    messages.attach(recipient('agent-1'));
    const options = { headers: { ticket: '42' }, id: 'm-1', atLeastOnce: true, waitForRoom: true, traceparent: TRACE };
    expect(await troupe.send('agent-1', { n: 1 }, options)).toBe(true);
    const [sent] = messages.sent;
    expect(sent).toMatchObject({ to: 'agent-1', topic: '', id: 'm-1', atLeastOnce: true, waitForRoom: true, demand: 0 });
    expect(sent?.from).toMatch(/^client-[a-z0-9]{12}$/);
    expect([...(sent?.headers ?? [])]).toEqual([
      ['ticket', '42'],
      ['traceparent', TRACE],
    ]);
    expect(messages.deliveries[0]?.json()).toEqual({ n: 1 });
  });

  it('comes from somebody else with each call', async () => {
    messages.attach(recipient('agent-1'));
    await troupe.send('agent-1');
    await troupe.send('agent-1');
    expect(new Set(messages.sent.map(({ from }) => from)).size).toBe(2);
  });

  it('has the deadline of the call, and 30 s where that has none', async () => {
    messages.attach(recipient('agent-1'));
    const beforeMs = Date.now();
    await raw().send({ to: 'agent-1' });
    await troupe.send('agent-1', 'x', { timeoutMs: 5_000 });
    const [none, given] = messages.sent.map(({ deadlineMs }) => deadlineMs - beforeMs);
    expect(none).toBeGreaterThanOrEqual(30_000);
    expect(none).toBeLessThan(35_000);
    expect(given).toBeLessThan(10_000);
  });

  it('names itself where at-least-once needs that', async () => {
    messages.attach(recipient('agent-1'));
    await troupe.send('agent-1', 'x', { atLeastOnce: true });
    expect(messages.sent[0]?.id).toMatch(/^message-/);
  });

  it('ends with why it was refused', async () => {
    messages.attach(
      recipient('agent-1', () => new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { retryAfterMs: 50 })),
    );
    await expect(troupe.send('agent-1')).rejects.toMatchObject({ reason: 'MAILBOX_FULL', retryAfterMs: 50 });
    await expect(troupe.send('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT' });
  });

  it('that waits for room is called off with its call', async () => {
    messages.attach(recipient('agent-1', () => 'parked'));
    const controller = new AbortController();
    const sending = troupe.send('agent-1', 'x', { waitForRoom: true, signal: controller.signal });
    await eventually(() => expect(messages.deliveries).toHaveLength(1));
    controller.abort();
    await expect(sending).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(messages.deliveries[0]?.cancelled?.code).toBe('CANCELLED'));
  });

  it('that waits for room ends with its deadline', async () => {
    messages.attach(recipient('agent-1', () => 'parked'));
    await expect(troupe.send('agent-1', 'x', { waitForRoom: true, timeoutMs: 60 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await eventually(() => expect(messages.deliveries[0]?.cancelled?.code).toBe('DEADLINE_EXCEEDED'));
  });
});

describe('Request', () => {
  it('gives the answer, and who gave it', async () => {
    messages.attach(
      answering((delivery) => {
        delivery.origin.answered(delivery, { kind: 'json', json: { got: delivery.text() } });
      }),
    );
    const answer = await troupe.request('agent-1', 'ping');
    expect(answer.from).toBe('agent-1');
    expect(answer.json()).toEqual({ got: 'ping' });
  });

  it('may have nothing to answer', async () => {
    messages.attach(answering((delivery) => delivery.origin.answered(delivery, { kind: 'empty' })));
    expect((await troupe.request('agent-1')).payload).toEqual({ kind: 'empty' });
  });

  it("ends with the agent's own error", async () => {
    const error = new TroupeError('FAILED_PRECONDITION', 'NO_MODEL', 'train it first');
    messages.attach(answering((delivery) => delivery.origin.failed(delivery, error)));
    await expect(troupe.request('agent-1')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NO_MODEL' });
  });

  it('tells the agent when nobody waits any more', async () => {
    messages.attach(recipient('agent-1'));
    const controller = new AbortController();
    const asking = troupe.request('agent-1', 'x', { signal: controller.signal });
    await eventually(() => expect(messages.deliveries).toHaveLength(1));
    controller.abort();
    await expect(asking).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(messages.deliveries[0]?.cancelled).toBeDefined());
  });

  it('asks again where the outcome is unknown and asking twice does no harm', async () => {
    const unknown = new TroupeError('ABORTED', 'OUTCOME_UNKNOWN', 'its node was lost');
    let asked = 0;
    messages.attach(
      answering((delivery) => {
        asked += 1;
        if (asked < 4) delivery.origin.failed(delivery, unknown);
        else delivery.origin.answered(delivery, { kind: 'text', text: 'at last' });
      }),
    );
    await expect(troupe.request('agent-1')).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    asked = 0;
    expect((await troupe.request('agent-1', 'x', { idempotent: true })).text()).toBe('at last');
    asked = -10;
    await expect(troupe.request('agent-1', 'x', { idempotent: true })).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    expect(asked).toBe(-6);
  });
});

describe('Broadcast', () => {
  it('tells who has it, who has not, and which nodes did not say', async () => {
    await messages.subscribe('news', recipient('a'));
    await messages.subscribe(
      'news',
      recipient('b', () => new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full')),
    );
    messages.silentNodes = ['node-2'];
    const receipts = await troupe.broadcast('news', 'hello', { headers: { a: 'b' } });
    expect([...receipts]).toEqual([
      ['a', true],
      ['b', false],
    ]);
    expect(receipts.silentNodes).toEqual(['node-2']);
  });

  it('stops waiting for nodes a little before its caller does', async () => {
    const beforeMs = Date.now();
    await troupe.broadcast('news', 'x', { timeoutMs: 10_000 });
    expect(messages.sent[0]?.deadlineMs).toBeLessThanOrEqual(beforeMs + 9_950);
  });
});

describe('Subscribe', () => {
  const collect = async (count: number, ...wanted: string[]) => {
    let tell: () => void = () => undefined;
    const subscribed = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const read = (async () => {
      const got: string[] = [];
      for await (const message of troupe.subscribe(wanted, { onSubscribed: () => tell() })) {
        got.push(`${message.topic} ${message.text()}`);
        if (got.length === count) break;
      }
      return got;
    })();
    await subscribed;
    return read;
  };

  it('gives what is broadcast from when it said so, once and in order', async () => {
    let id = '';
    const got: string[] = [];
    for await (const message of troupe.subscribe(['orders.*', 'orders.>'], {
      onSubscribed: (given) => {
        id = given;
        for (const n of [1, 2]) void troupe.broadcast(`orders.${n}`, String(n), { headers: { n: String(n) } });
      },
    })) {
      expect(message.from).toMatch(/^client-/);
      got.push(`${message.topic} ${message.text()} ${message.headers.get('n')}`);
      if (got.length === 2) break;
    }
    expect(id).toMatch(/^client-/);
    expect(got.sort()).toEqual(['orders.1 1 1', 'orders.2 2 2']);
    expect(messages.sent).toHaveLength(2);
  });

  it('ends its subscriptions when its reader leaves', async () => {
    const reading = collect(1, 'a', 'b');
    await eventually(() => expect(messages.subscribed).toEqual(['a', 'b']));
    await troupe.broadcast('b', 'x');
    expect(await reading).toEqual(['b x']);
    await eventually(() => expect(messages.subscribed).toEqual([]));
  });

  it('ends its subscriptions when its signal aborts, also while it waits', async () => {
    const controller = new AbortController();
    const ended = (async () => {
      for await (const _ of troupe.subscribe('a', { signal: controller.signal, onSubscribed: () => controller.abort() }));
    })();
    await expect(ended).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(messages.subscribed).toEqual([]));
  });

  it('ends when the process drains, and is not taken any more', async () => {
    const stream = troupe.subscribe('a', { onSubscribed: () => service.close() });
    await expect(stream.next()).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'DRAINING' });
    await expect(troupe.subscribe('a').next()).rejects.toMatchObject({ reason: 'DRAINING' });
    await eventually(() => expect(messages.subscribed).toEqual([]));
  });

  it('refuses what does not fit: the sender sees false', async () => {
    let tell: () => void = () => undefined;
    const subscribed = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const stream = troupe.subscribe('a', { onSubscribed: () => tell() });
    const first = stream.next();
    await subscribed;
    const large = 'x'.repeat(1024 * 1024);
    const seen: boolean[] = [];
    // What the connection and the stream take on their way comes on top of 8 MiB.
    for (let n = 0; n < 40 && !seen.includes(false); n++) seen.push(...(await troupe.broadcast('a', large)).values());
    expect(seen.length).toBeGreaterThan(8);
    expect(seen.at(-1)).toBe(false);
    await first;
    await stream.return();
    await eventually(() => expect(messages.lost.length).toBeGreaterThan(0));
  });
});

describe('ListTopics', () => {
  it('gives patterns and who wants them', async () => {
    topics = [
      ['b.>', ['node-2', 'node-1']],
      ['a', ['node-1']],
    ];
    expect(await troupe.topics()).toEqual([
      { pattern: 'a', nodeIds: ['node-1'] },
      { pattern: 'b.>', nodeIds: ['node-1', 'node-2'] },
    ]);
  });

  it('has pages that fit into a message, however many nodes there are', async () => {
    const nodeIds = Array.from({ length: 2_000 }, (_, n) => `node-${n}-${'x'.repeat(50)}`);
    topics = Array.from({ length: 100 }, (_, n) => [`topic-${n}`, nodeIds]);
    expect(await troupe.topics()).toHaveLength(100);
  });
});

describe('ListDeadLetters', () => {
  const add = (to: string, bytes = Buffer.alloc(0)) =>
    deadLetters.add(
      {
        from: 'a',
        to,
        topic: '',
        id: 'm-1',
        content: new FrameContent(bytes, 0, bytes.length),
        deadlineMs: 0,
        headers: new Map(),
        waitForRoom: false,
        atLeastOnce: false,
        demand: 0,
      },
      new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', 'gone'),
    );

  it('gives them, the youngest first, with what was in them', async () => {
    add('b', Buffer.from([0x12, 1, 0x78]));
    add('c');
    const { letters, total } = await troupe.deadLetters();
    expect(total).toBe(2);
    expect(letters.map(({ number, to, reason, nodeId, messageId }) => [number, to, reason, nodeId, messageId])).toEqual([
      [2, 'c', 'UNKNOWN_AGENT', 'node-1', 'm-1'],
      [1, 'b', 'UNKNOWN_AGENT', 'node-1', 'm-1'],
    ]);
    expect(letters[1]?.text()).toBe('x');
    expect(letters[0]?.payload).toEqual({ kind: 'empty' });
  });

  it('gives all of 8 MiB, in pages, and no more than are wanted', async () => {
    for (let n = 0; n < 120; n++) add(`agent-${n}`, Buffer.alloc(64 * 1024));
    expect((await troupe.deadLetters()).letters).toHaveLength(120);
    expect((await troupe.deadLetters('node-1', 7)).letters.map(({ number }) => number)).toEqual([
      120, 119, 118, 117, 116, 115, 114,
    ]);
  });

  it('of another process are asked for where that can be, and are not here otherwise', async () => {
    await expect(troupe.deadLetters('node-2')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_NODE' });
    const asked: string[] = [];
    await serve({
      deadLettersOf: async ({ nodeId }) => {
        asked.push(nodeId);
        return { deadLetters: [], nextPageToken: '', total: 7n };
      },
    });
    expect(await troupe.deadLetters('node-2')).toEqual({ letters: [], total: 7 });
    expect(asked).toEqual(['node-2']);
  });
});

describe('what is wrong with a call is named:', () => {
  const tooLarge = { content: { $case: 'data' as const, value: Buffer.alloc(MAX_PAYLOAD_BYTES) }, contentType: '' };
  const headers = (count: number) => new Map(Array.from({ length: count }, (_, n) => [`k${n}`, 'v'] as const));
  const badContent = [
    ['17 headers', { headers: headers(17) }, ['headers']],
    ['a header without a key', { headers: new Map([['', 'v']]) }, ['headers']],
    ['a header of 1 KiB and one byte', { headers: new Map([['k', 'v'.repeat(1_025)]]) }, ['headers["k"]']],
    ['a payload that is too large', { payload: tooLarge }, ['payload']],
  ] as const;
  const badAgents = ['', '../x', 'a/b', 'X', 'a\0b', '__proto__', 'x'.repeat(64)].map(
    (to) => [`an agent ${JSON.stringify(to)}`, { to }, ['to']] as const,
  );
  const badTopic = (topic: string) => [`a topic ${JSON.stringify(topic)}`, { topic }, ['topic']] as const;

  const fieldsOf = (call: Promise<unknown>) =>
    call.then(
      () => [],
      (error: TroupeError) => {
        expect(error.code).toBe('INVALID_ARGUMENT');
        return error.violations.map(({ field }) => field);
      },
    );

  it.each([
    ...badAgents,
    ...badContent,
    ['an id of 64 characters', { id: 'x'.repeat(64) }, ['id']],
    ['at-least-once without an id', { atLeastOnce: true }, ['id']],
    ['several', { to: 'X', id: 'x'.repeat(64), headers: headers(17) }, ['to', 'id', 'headers']],
  ] as const)('Send with %s', async (_, request, fields) => {
    expect(await fieldsOf(raw().send({ to: 'agent-1', ...request }))).toEqual(fields);
  });

  it.each([...badAgents, ...badContent] as const)('Request with %s', async (_, request, fields) => {
    expect(await fieldsOf(raw().request({ to: 'agent-1', ...request }))).toEqual(fields);
  });

  it.each([
    ...['', 'a..b', '.a', 'a.', 'a b', 'ä', 'a.*', '>', 'a/b', Array(17).fill('a').join('.'), 'x'.repeat(64)].map(badTopic),
    ...badContent,
  ] as const)('Broadcast with %s', async (_, request, fields) => {
    expect(await fieldsOf(raw().broadcast({ topic: 'news', ...request }))).toEqual(fields);
  });

  it.each([
    ['no topics', [], ['topics']],
    ['65 topics', Array.from({ length: 65 }, (_, n) => `t${n}`), ['topics']],
    ['a topic twice', ['a', 'a'], ['topics[1]']],
    ['wildcards in the wrong places', ['a.>.b', 'a*', '>', '*'], ['topics[0]', 'topics[1]']],
    ['names that are none', ['', 'a..b'], ['topics[0]', 'topics[1]']],
  ] as const)('Subscribe with %s', async (_, wanted, fields) => {
    expect(
      await fieldsOf(
        raw()
          .subscribe({ topics: [...wanted] })
          [Symbol.asyncIterator]()
          .next(),
      ),
    ).toEqual(fields);
  });

  it.each([
    ['a negative page size', { pageSize: -1 }, ['page_size']],
    ['a token of its own making', { pageToken: 'x' }, ['page_token']],
  ] as const)('ListTopics and ListDeadLetters with %s', async (_, request, fields) => {
    expect(await fieldsOf(raw().listTopics(request))).toEqual(fields);
    expect(await fieldsOf(raw().listDeadLetters(request))).toEqual(fields);
  });

  it('ListDeadLetters with a node that is no id', async () => {
    expect(await fieldsOf(raw().listDeadLetters({ nodeId: '../x' }))).toEqual(['node_id']);
  });
});
