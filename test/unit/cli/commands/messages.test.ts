import { describe, expect, test } from '@jest/globals';
import { TroupeError } from '../../../../src/core/errors.js';
import {
  type BroadcastRequest,
  DeadLetter,
  type ListDeadLettersResponse,
  type RequestRequest,
  type SendRequest,
  type SubscribeResponse,
} from '../../../../src/gen/troupe/v1/messaging.js';
import type { Payload } from '../../../../src/gen/troupe/v1/payload.js';
import { eventually } from '../../../support/eventually.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { CapturedIo } from '../captured-io.js';
import { fakeCluster, troupe } from '../fake-cluster.js';
import { NOW_MS, node } from '../messages.js';

const json = (value: unknown): Payload => ({ content: { $case: 'json', value }, contentType: '' });
const text = (value: string): Payload => ({ content: { $case: 'text', value }, contentType: '' });
const FULL = new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'the mailbox of "agent-1" is full', { retryAfterMs: 50 });

describe('troupe send', () => {
  async function mailbox() {
    const sent: SendRequest[] = [];
    const address = await fakeCluster({
      messaging: {
        send: (request) => {
          sent.push(request);
          return {};
        },
      },
    });
    return { address, sent };
  }

  test('says that the mailbox has it', async () => {
    const { address, sent } = await mailbox();
    const { code, io } = await troupe(address, ['send', 'agent-1', '--json', '{"n": 1}']);
    expect({ code, out: io.out, err: io.err }).toEqual({ code: 0, out: 'delivered to agent-1\n', err: '' });
    expect(sent).toEqual([
      { to: 'agent-1', payload: json({ n: 1 }), id: '', waitForRoom: false, atLeastOnce: false, headers: new Map() },
    ]);
  });

  test('says so to programs', async () => {
    const { address } = await mailbox();
    const { io } = await troupe(address, ['send', 'agent-1', '-o', 'json']);
    expect(JSON.parse(io.out)).toEqual({ to: 'agent-1', delivered: true });
  });

  test('takes its content from standard input, and all that a message can be told', async () => {
    const { address, sent } = await mailbox();
    const flags = ['--id', 'm-1', '--at-least-once', '--wait', '--header', 'a=1', '--header', 'b=2=3'];
    expect((await troupe(address, ['send', 'agent-1', '-', ...flags], new CapturedIo({ stdin: 'hello\n' }))).code).toBe(0);
    expect(sent[0]).toMatchObject({ payload: text('hello\n'), id: 'm-1', waitForRoom: true, atLeastOnce: true });
    expect([...(sent[0]?.headers ?? [])]).toEqual([
      ['a', '1'],
      ['b', '2=3'],
    ]);
  });

  test('ends with 4, why and when to try again where it is refused', async () => {
    const address = await fakeCluster({
      messaging: {
        send: () => {
          throw FULL;
        },
      },
    });
    const { code, io } = await troupe(address, ['send', 'agent-1']);
    expect(code).toBe(4);
    expect(io.err).toBe('error: the mailbox of "agent-1" is full (RESOURCE_EXHAUSTED MAILBOX_FULL)\ntry again in 50 ms\n');
  });
});

describe('troupe request', () => {
  async function agent(payload: Payload) {
    const asked: RequestRequest[] = [];
    const address = await fakeCluster({
      messaging: {
        request: (request) => {
          asked.push(request);
          return { payload, from: request.to };
        },
      },
    });
    return { address, asked };
  }

  test('prints the answer, and on standard error who gave it', async () => {
    const { address, asked } = await agent(json({ found: 3 }));
    const { code, io } = await troupe(address, ['request', 'agent-1', '--text', 'invoice', '--idempotent']);
    expect({ code, out: io.out }).toEqual({ code: 0, out: '{"found":3}\n' });
    expect(io.err).toMatch(/^agent-1, [\d.]+ m?s\n$/);
    expect(asked).toEqual([{ to: 'agent-1', payload: text('invoice'), headers: new Map(), idempotent: true }]);
  });

  test('gives programs everything', async () => {
    const { address } = await agent(text('yes'));
    const { io } = await troupe(address, ['request', 'agent-1', '--output', 'json']);
    expect(JSON.parse(io.out)).toEqual({ from: 'agent-1', durationMs: expect.any(Number), payload: { text: 'yes' } });
    expect(io.err).toBe('');
  });

  test('ends with 130 on Ctrl-C, and calls it off', async () => {
    let begun = false;
    let calledOff = false;
    const address = await fakeCluster({
      messaging: {
        request: (_request, call) =>
          new Promise((_resolve, reject) => {
            begun = true;
            call.onCancel((error) => {
              calledOff = true;
              reject(error);
            });
          }),
      },
    });
    const io = new CapturedIo();
    const ended = troupe(address, ['request', 'agent-1'], io);
    await eventually(() => expect(begun).toBe(true));
    io.controller.abort();
    expect((await ended).code).toBe(130);
    await eventually(() => expect(calledOff).toBe(true));
  });
});

describe('troupe broadcast', () => {
  async function topic(delivered: Readonly<Record<string, boolean>>, silentNodes: string[] = []) {
    const sent: BroadcastRequest[] = [];
    const address = await fakeCluster({
      messaging: {
        broadcast: (request) => {
          sent.push(request);
          return { delivered: new Map(Object.entries(delivered)), silentNodes };
        },
      },
    });
    return { address, sent };
  }

  test('shows who has it', async () => {
    const { address, sent } = await topic({ 'b-1': true, 'a-1': true });
    const { code, io } = await troupe(address, ['broadcast', 'orders.created', '--json', '{"order": 42}', '--header', 'x=y']);
    expect({ code, lines: io.lines, err: io.err }).toEqual({
      code: 0,
      lines: ['SUBSCRIBER  DELIVERED', 'a-1         yes', 'b-1         yes'],
      err: '',
    });
    expect(sent).toEqual([{ topic: 'orders.created', payload: json({ order: 42 }), headers: new Map([['x', 'y']]) }]);
  });

  test.each([
    ['somebody refused it', { a: true, b: false }, [], { delivered: ['a'], refused: ['b'], silentNodes: [] }],
    ['a node did not say', { a: true }, ['node-2'], { delivered: ['a'], refused: [], silentNodes: ['node-2'] }],
  ])('ends with 4 where %s', async (_, delivered, silent, told) => {
    const { address } = await topic(delivered, silent);
    const { code, io } = await troupe(address, ['broadcast', 'news']);
    expect(code).toBe(4);
    expect(io.lines[0]).toBe('SUBSCRIBER  DELIVERED');
    if (silent.length > 0) expect(io.err).toBe('warning: node node-2 did not say what became of it there\n');
    const forPrograms = await troupe(address, ['broadcast', 'news', '--output', 'json']);
    expect({ code: forPrograms.code, told: JSON.parse(forPrograms.io.out) }).toEqual({ code: 4, told });
  });

  test('ends with 0 where nobody subscribes, and says so', async () => {
    const { address } = await topic({});
    const { code, io } = await troupe(address, ['broadcast', 'news']);
    expect({ code, out: io.out, err: io.err }).toEqual({ code: 0, out: '', err: 'Nobody subscribes to news.\n' });
  });
});

describe('troupe listen', () => {
  const message = (topic: string, payload: Payload): SubscribeResponse => ({
    event: { $case: 'message', value: { topic, from: 'agent-1', payload, headers: new Map([['k', 'v']]) } },
  });

  async function station(...messages: readonly SubscribeResponse[]) {
    const asked: string[][] = [];
    let ended = 0;
    const address = await fakeCluster({
      messaging: {
        subscribe: async function* subscribe({ topics }, call) {
          asked.push(topics);
          call.onCancel(() => {
            ended += 1;
          });
          yield { event: { $case: 'subscribed', value: { id: 'client-1' } } } as SubscribeResponse;
          yield* messages;
          await new Promise<void>((resolve) => call.onCancel(() => resolve()));
        },
      },
    });
    return { address, asked, ended: () => ended };
  }

  test('prints what comes, a line each, and on standard error where it is from', async () => {
    const { address, asked } = await station(message('orders.a', json({ n: 1 })), message('orders.b', text('two')));
    const { code, io } = await troupe(address, ['listen', 'orders.*', 'news.>', '--count', '2']);
    expect({ code, out: io.out }).toEqual({ code: 0, out: '{"n":1}\ntwo\n' });
    expect(io.err).toBe('listening as client-1\norders.a from agent-1\norders.b from agent-1\n');
    expect(asked).toEqual([['orders.*', 'news.>']]);
  });

  test('shows a terminal what would act on it, and gives others the text as it is', async () => {
    const hostile = 'a\u001b]0;owned\u0007\u009b2J\nb\u202e\n';
    const { address } = await station(message('news', text(hostile)), message('news', json({ k: '\u009b2J' })));
    const listen = ['listen', 'news', '--count', '2'];
    const terminal = await troupe(address, listen, new CapturedIo({ isTTY: true, env: { NO_COLOR: '1' } }));
    expect(terminal.io.out).toBe('a\\u001b]0;owned\\u0007\\u009b2J\nb\\u202e\n{\n  "k": "\\u009b2J"\n}\n');
    const piped = await troupe(address, listen);
    expect(piped.io.out).toBe(`${hostile}{"k":"\\u009b2J"}\n`);
    const programs = await troupe(address, [...listen, '-o', 'json'], new CapturedIo({ isTTY: true }));
    expect(programs.io.lines.map((line) => JSON.parse(line).payload)).toEqual([{ text: hostile }, { json: { k: '\u009b2J' } }]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    expect(programs.io.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('gives programs one object a line', async () => {
    const { address } = await station(message('news', text('x')));
    const { io } = await troupe(address, ['listen', 'news', '--count', '1', '--output', 'json']);
    expect(io.lines.map((line) => JSON.parse(line))).toEqual([
      { topic: 'news', from: 'agent-1', headers: { k: 'v' }, payload: { text: 'x' } },
    ]);
    expect(io.err).toBe('');
  });

  test('goes on until Ctrl-C', async () => {
    const { address, ended } = await station(message('news', text('x')));
    const io = new CapturedIo();
    const listening = troupe(address, ['listen', 'news'], io);
    await eventually(() => expect(io.out).toBe('x\n'));
    io.controller.abort();
    expect((await listening).code).toBe(130);
    await eventually(() => expect(ended()).toBe(1));
  });

  test('ends with 3 where the process that it listens to goes', async () => {
    const address = await fakeCluster({
      messaging: {
        subscribe: async function* subscribe() {
          yield { event: { $case: 'subscribed', value: { id: 'client-1' } } } as SubscribeResponse;
          throw new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'gone');
        },
      },
    });
    expect((await troupe(address, ['listen', 'news'])).code).toBe(3);
  });
});

describe('troupe topics', () => {
  const cluster = (topics: { pattern: string; nodeIds: string[] }[]) =>
    fakeCluster({ messaging: { listTopics: () => ({ topics, nextPageToken: '' }) } });

  test('lists who wants what', async () => {
    const address = await cluster([
      { pattern: 'news', nodeIds: ['node-1'] },
      { pattern: 'orders.*', nodeIds: ['gateway', 'node-2'] },
    ]);
    expect((await troupe(address, ['topics'])).io.lines).toEqual([
      'TOPIC     NODES',
      'news      node-1',
      'orders.*  gateway,node-2',
    ]);
    expect(JSON.parse((await troupe(address, ['topics', '-o', 'json'])).io.out)).toEqual([
      { topic: 'news', nodeIds: ['node-1'] },
      { topic: 'orders.*', nodeIds: ['gateway', 'node-2'] },
    ]);
  });

  test('says when there are none', async () => {
    const { code, io } = await troupe(await cluster([]), ['topics']);
    expect({ code, out: io.out, err: io.err }).toEqual({ code: 0, out: '', err: 'Nobody subscribes to any topic.\n' });
  });
});

describe('troupe dead-letters', () => {
  const letter = (number: number, nodeId: string, agoMs: number): DeadLetter =>
    DeadLetter.fromPartial({
      number: BigInt(number),
      time: new Date(NOW_MS - agoMs),
      reason: 'MAILBOX_FULL',
      description: 'it is full',
      from: 'a',
      to: 'b',
      payload: json({ n: number }),
      nodeId,
    });
  const io = () => Object.assign(new CapturedIo(), { clock: new FakeClock(NOW_MS) });

  async function cluster() {
    const asked: string[] = [];
    const lists: Record<string, ListDeadLettersResponse> = {
      'node-1': { deadLetters: [letter(2, 'node-1', 1_000), letter(1, 'node-1', 60_000)], nextPageToken: '', total: 2n },
      gateway: { deadLetters: [letter(1, 'gateway', 5_000)], nextPageToken: '', total: 3n },
    };
    const address = await fakeCluster({
      registry: {
        listInstances: ({ service }) => ({
          instances: service === 'gateway' ? [node('gateway')] : [node('node-1'), node('node-2')],
          nextPageToken: '',
          revision: 1n,
          age: undefined,
        }),
      },
      messaging: {
        listDeadLetters: ({ nodeId }) => {
          asked.push(nodeId);
          const list = lists[nodeId];
          if (list === undefined) throw new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'not reached');
          return list;
        },
      },
    });
    return { address, asked };
  }

  test('lists those of all processes, the youngest first, and who did not answer', async () => {
    const { address, asked } = await cluster();
    const { code, io: printed } = await troupe(address, ['dead-letters'], io());
    expect(code).toBe(0);
    expect(asked.sort()).toEqual(['gateway', 'node-1', 'node-2']);
    expect(printed.lines.map((line) => line.replace(/ +/g, ' '))).toEqual([
      'AGE NODE FROM TO TOPIC REASON WHY',
      '1s node-1 a b - MAILBOX_FULL it is full',
      '5s gateway a b - MAILBOX_FULL it is full',
      '1m node-1 a b - MAILBOX_FULL it is full',
    ]);
    expect(printed.err).toBe('warning: node node-2 did not answer: not reached\n3 of 5.\n');
  });

  test('lists those of one process, with what was in them for programs', async () => {
    const { address, asked } = await cluster();
    const { io: printed } = await troupe(address, ['dead-letters', 'node-1', '--limit', '1', '-o', 'json'], io());
    expect(asked).toEqual(['node-1']);
    expect(JSON.parse(printed.out)).toEqual([
      {
        nodeId: 'node-1',
        number: 2,
        time: new Date(NOW_MS - 1_000).toISOString(),
        from: 'a',
        to: 'b',
        topic: '',
        messageId: '',
        reason: 'MAILBOX_FULL',
        description: 'it is full',
        payload: { json: { n: 2 } },
      },
    ]);
    expect((await troupe(address, ['dead-letters', 'node-2'])).code).toBe(3);
  });
});
