import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ExitError } from '../../../../src/cli/errors.js';
import { TroupeError } from '../../../../src/core/errors.js';
import type { Payload } from '../../../../src/gen/troupe/v1/payload.js';
import { Strategy } from '../../../../src/gen/troupe/v1/strategy.js';
import { Priority, type Task, TaskState } from '../../../../src/gen/troupe/v1/task.js';
import type { RunStreamResponse } from '../../../../src/gen/troupe/v1/tasks.js';
import type { Call } from '../../../../src/rpc/call.js';
import { eventually } from '../../../support/eventually.js';
import { CapturedIo } from '../captured-io.js';
import { fakeCluster, troupe } from '../fake-cluster.js';

const resultOf = (task: Task | undefined, payload: Payload | undefined) => ({
  taskId: 'task-1',
  agentId: task?.agentId || 'data-1',
  nodeId: 'node-1',
  payload,
  attempt: 1,
  duration: { seconds: 0n, nanos: 12_000_000 },
  state: TaskState.TASK_STATE_COMPLETED,
  fallbackCapability: '',
  defaultAnswer: false,
});

/** An agent that gives back what it got, or `answer`. */
async function echo(answer?: Payload) {
  const tasks: Task[] = [];
  const calls: Call[] = [];
  const address = await fakeCluster({
    tasks: {
      run: ({ task }, call) => {
        if (task !== undefined) tasks.push(task);
        calls.push(call);
        return { result: resultOf(task, answer ?? task?.payload) };
      },
    },
  });
  return { address, tasks, calls };
}

const json = (value: unknown): Payload => ({ content: { $case: 'json', value }, contentType: '' });
const text = (value: string): Payload => ({ content: { $case: 'text', value }, contentType: '' });
const data = (bytes: readonly number[], contentType = ''): Payload => ({
  content: { $case: 'data', value: Buffer.from(bytes) },
  contentType,
});

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'troupe-cli-'));
  await writeFile(join(directory, 'input.json'), '{"n": 1}');
  await writeFile(join(directory, 'broken.json'), '{n');
  await writeFile(join(directory, 'input.txt'), 'some text');
  await writeFile(join(directory, 'input.csv'), Buffer.from([0xff, 0x00, 0x0a]));
  await writeFile(join(directory, 'big.bin'), Buffer.alloc(4 * 1024 * 1024 + 1));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe('the input of troupe run', () => {
  const file = (name: string) => join(directory, name);

  test.each<[string, () => readonly string[], string | Uint8Array, Payload]>([
    ['JSON', () => ['--json', '{"n": [1, null]}'], '', json({ n: [1, null] })],
    ['JSON that is a string', () => ['--json', '"x"'], '', text('x')],
    ['text', () => ['--text', '{"n": 1}'], '', text('{"n": 1}')],
    ['empty text', () => ['--text', ''], '', text('')],
    ['JSON from standard input', () => ['--json', '-'], '{"n": 1}', json({ n: 1 })],
    ['text from standard input', () => ['--text', '-'], '{"n": 1}', text('{"n": 1}')],
    ['bytes from standard input', () => ['--file', '-'], '{}', data([0x7b, 0x7d])],
    ['standard input that is JSON', () => ['-'], '{"n": 1}', json({ n: 1 })],
    ['standard input that is text', () => ['-'], 'hello\n', text('hello\n')],
    ['standard input that is neither', () => ['-'], Buffer.from([0xff]), data([0xff])],
    ['a .json file', () => ['--file', file('input.json')], '', json({ n: 1 })],
    ['a .txt file', () => ['--file', file('input.txt')], '', text('some text')],
    ['any other file', () => ['--file', file('input.csv')], '', data([0xff, 0, 0x0a])],
  ])('can be %s', async (_name, args, stdin, payload) => {
    const { address, tasks } = await echo();
    const { code } = await troupe(address, ['run', 'a', ...args()], new CapturedIo({ stdin }));
    expect(code).toBe(0);
    expect(tasks[0]?.payload).toEqual(payload);
  });

  test('can be left out', async () => {
    const { address, tasks } = await echo();
    const { io } = await troupe(address, ['run', 'a']);
    expect(tasks[0]?.payload?.content).toBeUndefined();
    expect(io.out).toBe('');
  });

  test('is refused where it cannot be read', async () => {
    const missing = await troupe('127.0.0.1:1', ['run', 'a', '--file', file('missing')]);
    expect(missing.code).toBe(1);
    expect(missing.io.err).toMatch(/^error: cannot read .*missing: .*ENOENT/);
    const isDirectory = await troupe('127.0.0.1:1', ['run', 'a', '--file', directory]);
    expect(isDirectory.code).toBe(1);
    expect(isDirectory.io.err).toMatch(/^error: cannot read .*: .*EISDIR/);
    const big = await troupe('127.0.0.1:1', ['run', 'a', '--file', file('big.bin')]);
    expect(big.code).toBe(1);
    expect(big.io.err).toContain('more than the 4 MiB that a payload may have');
    const broken = await troupe('127.0.0.1:1', ['run', 'a', '--file', file('broken.json')]);
    expect(broken.code).toBe(2);
    expect(broken.io.err).toContain('broken.json is not JSON');
  });
});

describe('the task of troupe run', () => {
  test('has what the options say', async () => {
    const { address, tasks, calls } = await echo();
    const flags = ['--agent', 'data-2', '--strategy', 'least-connections', '--idempotent', '--timeout', '1m'];
    const startMs = Date.now();
    const { code } = await troupe(address, ['run', 'a,b', ...flags, '--label', 'x=1', '--label', 'y=2=3']);
    expect(code).toBe(0);
    expect(tasks[0]).toMatchObject({
      requiredCapabilities: ['a', 'b'],
      agentId: 'data-2',
      strategy: Strategy.STRATEGY_LEAST_CONNECTIONS,
      idempotent: true,
      labels: new Map([
        ['x', '1'],
        ['y', '2=3'],
      ]),
    });
    expect(calls[0]?.deadlineMs).toBeGreaterThan(startMs + 59_000);
    expect(calls[0]?.deadlineMs).toBeLessThan(Date.now() + 61_000);
  });

  test('says how it is routed and tried', async () => {
    const { address, tasks } = await echo();
    const flags = ['--strategy', 'consistent_hash', '--routing-key', 'session-7', '--priority', 'high', '--fallback', 'b'];
    await troupe(address, ['run', 'a', ...flags, '--idempotent', '--attempts', '3', '--hedge', '200ms']);
    expect(tasks[0]).toMatchObject({
      strategy: Strategy.STRATEGY_CONSISTENT_HASH,
      routingKey: 'session-7',
      priority: Priority.PRIORITY_HIGH,
      fallbackCapability: 'b',
      retry: { maxAttempts: 3, hedgingDelay: { seconds: 0n, nanos: 200_000_000 } },
    });
    await troupe(address, ['run', 'a']);
    expect(tasks[1]).toMatchObject({ routingKey: '', priority: Priority.PRIORITY_UNSPECIFIED, retry: undefined });
  });

  test.each([
    [['--attempts', '11'], 'whole number from 1 to 10'],
    [['--priority', 'urgent'], 'Allowed choices are low, normal, high, critical'],
    [['--hedge', '10ms'], '--hedge needs --idempotent'],
    [['--fallback', '../x'], 'must be 1 to 63'],
    [['--resume-window', '6m'], 'at most 5m'],
  ])('with %j is wrong usage', async (flags, message) => {
    const { address, tasks } = await echo();
    const { code, io } = await troupe(address, ['run', 'a', ...flags]);
    expect([code, tasks]).toEqual([2, []]);
    expect(io.err).toContain(message);
  });

  test('needs no capability where it names its agent', async () => {
    const { address, tasks } = await echo();
    expect((await troupe(address, ['run', '--agent', 'data-2', '-'], new CapturedIo({ stdin: 'x' }))).code).toBe(0);
    expect(tasks[0]).toMatchObject({ requiredCapabilities: [], agentId: 'data-2', payload: text('x') });
  });
});

describe('the result of troupe run', () => {
  test.each<[string, Payload, boolean, string]>([
    ['JSON, compact', json({ n: [1] }), false, '{"n":[1]}\n'],
    ['JSON, indented on a terminal', json({ n: 1 }), true, '{\n  "n": 1\n}\n'],
    ['text as it is', text('x'), false, 'x'],
    ['text with a newline on a terminal', text('x'), true, 'x\n'],
    ['text without a second newline on a terminal', text('x\n'), true, 'x\n'],
    ['bytes as they are', data([0xff, 0]), false, '\u00ff\u0000'],
    ['bytes that are text on a terminal', data([0x61]), true, 'a\n'],
    ['no other bytes on a terminal', data([0xff, 0]), true, ''],
  ])('is %s', async (_name, payload, isTTY, out) => {
    const { address } = await echo(payload);
    const { io } = await troupe(address, ['run', 'a'], new CapturedIo({ isTTY, env: { NO_COLOR: '1' } }));
    expect(io.out).toBe(out);
  });

  test('says where it ran, on standard error', async () => {
    const { address } = await echo();
    expect((await troupe(address, ['run', 'a'])).io.err).toBe('data-1 on node-1, 12 ms, attempt 1\n');
  });

  test('says when a fallback did it, or nobody', async () => {
    const answering = async (more: object) => {
      const address = await fakeCluster({
        tasks: { run: ({ task }) => ({ result: { ...resultOf(task, text('x')), ...more } }) },
      });
      const { io } = await troupe(address, ['run', 'a']);
      const json = await troupe(address, ['run', 'a', '--output', 'json']);
      return [io.err, JSON.parse(json.io.out)];
    };
    expect(await answering({ fallbackCapability: 'b' })).toEqual([
      'data-1 on node-1, 12 ms, attempt 1, by the fallback b\n',
      expect.objectContaining({ fallbackCapability: 'b' }),
    ]);
    expect(await answering({ defaultAnswer: true, agentId: '', nodeId: '' })).toEqual([
      'no agent could take it: the default answer of the router\n',
      expect.objectContaining({ defaultAnswer: true }),
    ]);
  });

  test('says what bytes a terminal does not get', async () => {
    const { address } = await echo(data([0, 1], 'image/png'));
    const { io } = await troupe(address, ['run', 'a'], new CapturedIo({ isTTY: true, env: { NO_COLOR: '1' } }));
    expect(io.err).toContain('2 bytes of image/png: not for a terminal; redirect it to a file\n');
  });

  test.each<[Payload, object]>([
    [json(null), { json: null }],
    [text('x'), { text: 'x' }],
    [data([0xff], 'image/png'), { data: '/w==', contentType: 'image/png' }],
  ])('as JSON has everything', async (payload, object) => {
    const { address } = await echo(payload);
    const { io } = await troupe(address, ['run', 'a', '-o', 'json']);
    expect(JSON.parse(io.out)).toEqual({
      taskId: 'task-1',
      agentId: 'data-1',
      nodeId: 'node-1',
      attempt: 1,
      durationMs: 12,
      payload: object,
    });
    expect(io.err).toBe('');
  });

  test('is an error with 4 where the cluster refuses', async () => {
    const address = await fakeCluster({
      tasks: {
        run: () => {
          throw new TroupeError('NOT_FOUND', 'NO_AGENT', 'no agent offers "a"', { metadata: { x: 'y' } });
        },
      },
    });
    const plain = await troupe(address, ['run', 'a']);
    expect({ code: plain.code, err: plain.io.err }).toEqual({
      code: 4,
      err: 'error: no agent offers "a" (NOT_FOUND NO_AGENT)\n',
    });
    const forPrograms = await troupe(address, ['run', 'a', '-o', 'json']);
    expect(JSON.parse(forPrograms.io.err)).toEqual({
      code: 'NOT_FOUND',
      reason: 'NO_AGENT',
      message: 'no agent offers "a"',
      metadata: { x: 'y' },
    });
  });

  test('is an error where the time is over', async () => {
    const address = await fakeCluster({ tasks: { run: (_request, { signal }) => never(signal) } });
    const { code, io } = await troupe(address, ['run', 'a', '--timeout', '50ms']);
    expect(code).toBe(4);
    expect(io.err).toBe('error: no agent that offers a ended the task within 50 ms (DEADLINE_EXCEEDED)\n');
    const named = await troupe(address, ['run', '--agent', 'data-1', '--timeout', '50ms']);
    expect(named.io.err).toBe('error: agent "data-1" did not end the task within 50 ms (DEADLINE_EXCEEDED)\n');
  });
});

describe('troupe run --stream', () => {
  async function* story(): AsyncGenerator<RunStreamResponse> {
    const event = (cursor: bigint, value: NonNullable<RunStreamResponse['event']>['event']) => ({
      event: { taskId: 'task-1', cursor, time: undefined, event: value },
    });
    yield event(1n, { $case: 'accepted', value: {} });
    yield event(2n, { $case: 'routed', value: { agentId: 'data-1', nodeId: 'node-1', attempt: 1 } });
    yield event(3n, { $case: 'progress', value: { fraction: 0.5, note: 'reading' } });
    yield event(4n, { $case: 'chunk', value: { sequence: 1n, payload: json({ rows: 10 }) } });
    yield event(5n, { $case: 'result', value: resultOf(undefined, json({ rows: 20 })) });
  }

  test('prints what the agent gives on standard output, the rest on standard error', async () => {
    const { code, io } = await troupe(await fakeCluster({ tasks: { runStream: story } }), ['run', 'a', '--stream']);
    expect(code).toBe(0);
    expect(io.lines).toEqual(['{"rows":10}', '{"rows":20}']);
    expect(io.err.split('\n')).toEqual([
      'accepted as task-1',
      'routed to data-1 on node-1, attempt 1',
      '50 % reading',
      'data-1 on node-1, 12 ms, attempt 1',
      '',
    ]);
  });

  test('says who had the task where the time is over', async () => {
    const address = await fakeCluster({
      tasks: {
        runStream: async function* runStream(_request, { signal }) {
          for await (const response of story()) {
            if (response.event?.cursor === 3n) await never(signal);
            yield response;
          }
        },
      },
    });
    const { code, io } = await troupe(address, ['run', 'a', '--stream', '--timeout', '500ms']);
    expect(code).toBe(4);
    expect(io.err.split('\n').at(-2)).toBe(
      'error: agent "data-1" on node "node-1" did not end the task within 500 ms (DEADLINE_EXCEEDED)',
    );
  });

  test('gives programs one object a line', async () => {
    const { io } = await troupe(await fakeCluster({ tasks: { runStream: story } }), ['run', 'a', '--stream', '-o', 'json']);
    expect(io.lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: 'accepted', taskId: 'task-1', cursor: 1 },
      { event: 'routed', agentId: 'data-1', nodeId: 'node-1', attempt: 1 },
      { event: 'progress', fraction: 0.5, note: 'reading' },
      { event: 'chunk', sequence: 1, payload: { json: { rows: 10 } } },
      { event: 'result', agentId: 'data-1', payload: { json: { rows: 20 } } },
    ]);
    expect(io.err).toBe('');
  });
});

describe('Ctrl-C during troupe run', () => {
  test.each([[[]], [['--stream']]])('calls the task off and ends with 130 (%j)', async (flags: readonly string[]) => {
    let begun = false;
    let calledOff = false;
    const hang = (signal: AbortSignal) => {
      begun = true;
      signal.addEventListener('abort', () => {
        calledOff = true;
      });
      return never(signal);
    };
    const address = await fakeCluster({
      tasks: {
        run: (_request, { signal }) => hang(signal),
        runStream: async function* runStream(_request, { signal }) {
          yield { event: undefined };
          await hang(signal);
        },
      },
    });
    const io = new CapturedIo();
    const ended = troupe(address, ['run', 'a', ...flags], io);
    await eventually(() => expect(begun).toBe(true));
    io.controller.abort();
    expect((await ended).code).toBe(130);
    await eventually(() => expect(calledOff).toBe(true));
    expect(io.err).toBe('');
  });

  test('ends with another code where the reason is one', async () => {
    const address = await fakeCluster({ tasks: { run: (_request, { signal }) => never(signal) } });
    const io = new CapturedIo();
    io.controller.abort(new ExitError(0));
    expect((await troupe(address, ['run', 'a'], io)).code).toBe(0);
  });
});

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new TroupeError('CANCELLED', 'CANCELLED', 'called off')));
  });
}
