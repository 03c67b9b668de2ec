import { beforeAll, describe, expect, it } from '@jest/globals';
import { EnvelopeKind } from '../../src/gen/troupe/v1/envelope.js';
import { eventually } from '../support/eventually.js';
import { KIND, TestProgram, text, textOf } from '../support/program.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

let registry: Role;
let node: Role;
let gateway: Role;

beforeAll(async () => {
  registry = await startRegistry();
  [node, gateway] = await Promise.all([startNode('node-1', registry.address), startGateway(registry.address)]);
  const troupe = client(gateway.address);
  await eventually(() => troupe.deploy({ id: 'canary', kind: 'echo' }, 'node-1'));
  await troupe.deploy({ id: 'streamer', kind: 'streamer' }, 'node-1');
  await troupe.deploy({ id: 'worker', kind: 'worker' }, 'node-1');
}, 30_000);

async function attach(hello: Parameters<TestProgram['hello']>[0] = {}, role: Role = node) {
  const program = new TestProgram(role.address);
  return { program, welcome: await program.hello(hello) };
}

const json = (value: unknown) => ({ content: { $case: 'json' as const, value }, contentType: '' });
const task = (capability: string, input: unknown, more: object = {}) => ({
  kind: KIND.task,
  task: { requiredCapabilities: [capability], payload: json(input) },
  ...more,
});

describe.each(['node', 'gateway'] as const)('a client that is attached to a %s', (where) => {
  const role = () => (where === 'node' ? node : gateway);

  it('runs tasks, many at once, and gets each result under its own id', async () => {
    const { program, welcome } = await attach({}, role());
    expect(welcome.id).toMatch(/^client-/);
    expect(welcome.nodeId).toBe(role().id);
    program.batch(Array.from({ length: 50 }, (_, n) => task('echo', { n }, { correlationId: BigInt(n + 1) })));
    await eventually(() => expect(program.envelopes).toHaveLength(50));
    for (const { kind, correlationId, result } of program.envelopes) {
      expect(kind).toBe(KIND.result);
      expect(result).toMatchObject({ agentId: 'canary', nodeId: 'node-1', attempt: 1 });
      expect(result?.payload?.content).toMatchObject({ value: { input: { n: Number(correlationId) - 1 } } });
    }
  });

  it('streams a task as fast as it wants to', async () => {
    const { program } = await attach({}, role());
    program.batch([task('streaming', { chunks: 5 }, { correlationId: 1n, streaming: true, demand: 2 })]);
    await eventually(() => expect(program.envelopes.filter(({ kind }) => kind === KIND.chunk)).toHaveLength(2));
    program.batch([{ kind: KIND.demand, correlationId: 1n, demand: 100 }]);
    await program.envelope(KIND.result);
    expect(program.envelopes.map(({ kind }) => kind)).toEqual([...new Array(5).fill(KIND.chunk), KIND.progress, KIND.result]);
    expect(program.envelopes.slice(0, 5).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  it('calls tasks off: no answer comes', async () => {
    const { program } = await attach({}, role());
    program.batch([task('work', { ms: 60_000 }, { correlationId: 1n }), task('work', { ms: 1 }, { correlationId: 2n })]);
    await program.envelope(KIND.result);
    program.batch([{ kind: KIND.cancel, correlationId: 1n }]);
    program.batch([task('work', { ms: 1 }, { correlationId: 3n })]);
    await program.envelope(KIND.result, ({ correlationId }) => correlationId === 3n);
    expect(program.envelopes.map(({ correlationId }) => correlationId)).toEqual([2n, 3n]);
  });

  it('learns why a task failed, in the words of Tasks.Run', async () => {
    const { program } = await attach({}, role());
    program.batch([task('nothing-like-it', {}, { correlationId: 1n })]);
    const { correlationId, error } = await program.envelope(KIND.error);
    expect({ correlationId, code: error?.code }).toEqual({ correlationId: 1n, code: 5 });
  });

  it('sends, asks and broadcasts, and gets what is broadcast to its topics', async () => {
    const listener = await attach({ topics: [`${where}.>`] }, role());
    const { program, welcome } = await attach({}, role());
    program.batch([
      { kind: KIND.send, correlationId: 1n, topic: `${where}.news`, payload: text('news') },
      { kind: KIND.send, correlationId: 2n, to: 'no-such-agent', payload: text('x') },
      { kind: KIND.request, correlationId: 3n, to: 'no-such-agent', payload: text('x') },
    ]);
    const heard = await listener.program.envelope(KIND.send);
    expect(heard).toMatchObject({ topic: `${where}.news`, from: welcome.id, correlationId: 0n });
    expect(textOf(heard)).toBe('news');
    const receipt = await program.envelope(KIND.ack, ({ correlationId }) => correlationId === 1n);
    expect(receipt.receipts).toMatchObject({ delivered: [listener.welcome.id], refused: [] });
    expect((await program.envelope(KIND.ack, ({ correlationId }) => correlationId === 2n)).error?.code).toBe(5);
    expect((await program.envelope(KIND.error)).correlationId).toBe(3n);
  });

  it('gets what it waits for after it has ended its side, then the end', async () => {
    const { program } = await attach({}, role());
    program.batch([task('work', { ms: 300 }, { correlationId: 1n })]);
    program.halfClose();
    expect(await program.end()).toMatchObject({ code: 'OK' });
    expect(program.envelopes.map(({ kind }) => kind)).toEqual([KIND.result]);
  });

  it('comes back: what was done meanwhile waits for it, once', async () => {
    const { program, welcome } = await attach({}, role());
    program.batch([task('work', { ms: 100 }, { correlationId: 1n }), task('work', { ms: 1 }, { correlationId: 2n })], 1n);
    await program.envelope(KIND.result);
    program.break();
    const again = new TestProgram(role().address);
    expect(await again.hello({ resumeToken: welcome.resumeToken, received: program.received })).toMatchObject({ received: 1n });
    again.batch([task('work', { ms: 100 }, { correlationId: 1n }), task('work', { ms: 1 }, { correlationId: 2n })], 1n);
    again.batch([task('work', { ms: 1 }, { correlationId: 3n })], 2n);
    await again.envelope(KIND.result, ({ correlationId }) => correlationId === 3n);
    await again.envelope(KIND.result, ({ correlationId }) => correlationId === 1n);
    expect(again.envelopes).toHaveLength(2);
  });

  it('is given credit as it uses it', async () => {
    const { program } = await attach({}, role());
    const send = (n: number) => ({ kind: KIND.send, topic: 'nobody.listens', payload: text(String(n)) });
    program.batch(
      Array.from({ length: 499 }, (_, n) => send(n)),
      1n,
    );
    program.send({ $case: 'ping', value: { id: 7n } });
    expect((await program.frame('pong')).value.id).toBe(7n);
    expect(program.frames.some(({ $case }) => $case === 'credit')).toBe(false);
    program.batch([send(499)], 2n);
    expect((await program.frame('credit')).value).toEqual({ envelopes: 500, received: 2n });
  });

  it('is told what is too large to be sent, whoever would get it', async () => {
    await attach({ topics: [`${where}.large`] }, role());
    const { program } = await attach({}, role());
    const payload = text('x'.repeat(4 * 1024 * 1024 - 100));
    const tooLarge = { code: 3, message: expect.stringContaining('must be at most') };
    program.batch([{ kind: KIND.send, correlationId: 1n, topic: `${where}.large`, payload }]);
    expect((await program.envelope(KIND.ack)).error).toMatchObject(tooLarge);
    program.batch([{ kind: KIND.request, correlationId: 2n, to: 'canary', payload }]);
    expect((await program.envelope(KIND.error)).error).toMatchObject(tooLarge);
    program.batch([task('echo', {}, { correlationId: 3n })]);
    await program.envelope(KIND.result);
  });

  it('gets no more than it gave credit for', async () => {
    const { program } = await attach({ credit: 3 }, role());
    program.batch(Array.from({ length: 10 }, (_, n) => task('echo', { n }, { correlationId: BigInt(n + 1) })));
    await eventually(() => expect(program.envelopes).toHaveLength(3));
    program.credit(4, program.received);
    await eventually(() => expect(program.envelopes).toHaveLength(7));
    program.credit(100, program.received);
    await eventually(() => expect(program.envelopes).toHaveLength(10));
  });
});

describe.each(['node', 'gateway'] as const)('a client that is attached to a %s that ends', (where) => {
  it('is told so, still gets what it waits for, and is refused what it asks for after that', async () => {
    const id = `leaving-${where}`;
    const leaving = await (where === 'node' ? startNode(id, registry.address) : startGateway(registry.address, '--id', id));
    const { program: slow } = await attach({ agentId: `slow-${where}` });
    const { program } = await attach({}, leaving);
    await eventually(async () => {
      program.batch([task('echo', {}, { correlationId: 1n })]);
      await eventually(() => expect(program.envelopes.at(-1)?.kind).toBe(KIND.result), { timeoutMs: 500 });
    });
    program.batch([
      task('work', { ms: 1_500 }, { correlationId: 2n }),
      { kind: KIND.request, correlationId: 3n, to: `slow-${where}`, payload: text('x') },
    ]);
    const { correlationId: asked } = await slow.envelope(KIND.request);
    const ended = leaving.process.kill('SIGTERM');
    await program.frame('drain');
    const ping = await program.frame('ping');
    program.send({ $case: 'pong', value: ping.value });
    program.batch([task('echo', {}, { correlationId: 4n })]);
    expect((await program.envelope(KIND.error)).error).toMatchObject({ code: 14 });
    slow.batch([{ kind: KIND.response, correlationId: asked, payload: text('late') }]);
    const { result } = await program.envelope(KIND.result, ({ correlationId }) => correlationId === 2n);
    expect(result?.agentId).toBe('worker');
    expect(textOf(await program.envelope(KIND.response))).toBe('late');
    expect(await program.end()).toMatchObject({ code: 'UNAVAILABLE', reason: 'NODE_ENDED' });
    expect(await ended).toEqual({ code: 0, signal: null });
  });
});

type Misdeed = readonly [name: string, code: string, reason: string, act: (program: TestProgram) => unknown, hello?: boolean];

const batchOf =
  (...envelopes: object[]) =>
  (program: TestProgram) =>
    program.batch(envelopes);
const MISDEEDS: readonly Misdeed[] = [
  ['a batch before hello', 'FAILED_PRECONDITION', 'NO_HELLO', batchOf({ kind: KIND.send }), false],
  ['an end before hello', 'FAILED_PRECONDITION', 'NO_HELLO', (program) => program.halfClose(), false],
  ['garbage before hello', 'INVALID_ARGUMENT', 'MALFORMED_MESSAGE', (program) => program.raw(Buffer.from([0x0a, 0xff])), false],
  [
    'a wrong hello',
    'INVALID_ARGUMENT',
    'INVALID_FIELD',
    (program) => program.hello({ agentId: '../x' }).catch(() => undefined),
    false,
  ],
  [
    'a topic in hello that is none',
    'INVALID_ARGUMENT',
    'INVALID_FIELD',
    (program) => program.hello({ topics: ['a..b'] }).catch(() => undefined),
    false,
  ],
  [
    'a token that is none',
    'NOT_FOUND',
    'UNKNOWN_SESSION',
    (program) => program.hello({ resumeToken: 'x' }).catch(() => undefined),
    false,
  ],
  ['an empty frame', 'INVALID_ARGUMENT', 'EMPTY_FRAME', (program) => program.raw(Buffer.alloc(0))],
  ['garbage', 'INVALID_ARGUMENT', 'MALFORMED_MESSAGE', (program) => program.raw(Buffer.from([0x12, 0x05, 0x0a]))],
  ['a second hello', 'FAILED_PRECONDITION', 'HELLO_TWICE', (program) => program.hello().catch(() => undefined)],
  ['credit of nothing', 'INVALID_ARGUMENT', 'WRONG_CREDIT', (program) => program.credit(0)],
  ['credit beyond its bound', 'INVALID_ARGUMENT', 'WRONG_CREDIT', (program) => program.credit(1_000_001)],
  ['word of a batch that was never sent', 'INVALID_ARGUMENT', 'WRONG_CREDIT', (program) => program.credit(1, 9n)],
  ['an answer to nothing', 'INVALID_ARGUMENT', 'UNKNOWN_CORRELATION_ID', batchOf({ kind: KIND.ack, correlationId: 5n })],
  ['a forged sender', 'INVALID_ARGUMENT', 'FORGED_SENDER', batchOf({ kind: KIND.send, from: 'canary', to: 'worker' })],
  ['an empty batch', 'INVALID_ARGUMENT', 'BATCH_SIZE', batchOf()],
  [
    'an oversized batch',
    'INVALID_ARGUMENT',
    'BATCH_SIZE',
    (program) => program.batch(new Array(10_001).fill({ kind: KIND.send, topic: 'x' })),
  ],
  [
    'more than there is credit for',
    'RESOURCE_EXHAUSTED',
    'NO_CREDIT',
    (program) => program.batch(new Array(1_001).fill({ kind: KIND.send, topic: 'x' })),
  ],
  [
    'a gap in the numbers',
    'FAILED_PRECONDITION',
    'SEQUENCE_GAP',
    (program) => program.batch([{ kind: KIND.send, topic: 'x' }], 3n),
  ],
  ['a topic that is none', 'INVALID_ARGUMENT', 'INVALID_FIELD', batchOf({ kind: KIND.send, topic: 'a..b' })],
  ['a wildcard as a topic', 'INVALID_ARGUMENT', 'INVALID_FIELD', batchOf({ kind: KIND.send, topic: 'a.*' })],
  ['neither topic nor receiver', 'INVALID_ARGUMENT', 'INVALID_FIELD', batchOf({ kind: KIND.send })],
  ['both topic and receiver', 'INVALID_ARGUMENT', 'INVALID_FIELD', batchOf({ kind: KIND.send, topic: 'a', to: 'b' })],
  ['a request without an id', 'INVALID_ARGUMENT', 'INVALID_FIELD', batchOf({ kind: KIND.request, to: 'canary' })],
  [
    'an id that is in use',
    'INVALID_ARGUMENT',
    'CORRELATION_ID_IN_USE',
    batchOf(task('work', { ms: 1_000 }, { correlationId: 1n }), task('work', { ms: 1 }, { correlationId: 1n })),
  ],
  ['a kind that is none', 'INVALID_ARGUMENT', 'INVALID_FIELD', batchOf({ kind: EnvelopeKind.ENVELOPE_KIND_UNSPECIFIED })],
  [
    'a subscription to no topic',
    'INVALID_ARGUMENT',
    'INVALID_FIELD',
    (program) => program.send({ $case: 'subscriptions', value: { subscribe: ['a.>.b'], unsubscribe: [], id: 5n } }),
  ],
];

describe('a program that says what it must not', () => {
  let witness: TestProgram;
  let witnessed = 0n;

  beforeAll(async () => {
    // Lives as long as the file: what others do must not reach it.
    witness = new TestProgram(node.address);
    await witness.hello();
  });

  it.each(MISDEEDS)('%s: %s / %s, and no other stream notices', async (_name, code, reason, act, hello = true) => {
    const program = new TestProgram(node.address);
    if (hello) await program.hello();
    void act(program);
    expect(await program.end()).toMatchObject({ code, reason });
    witnessed += 1n;
    witness.batch([task('echo', {}, { correlationId: witnessed })]);
    await witness.envelope(KIND.result, ({ correlationId }) => correlationId === witnessed);
    expect(node.process.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('cannot come back with its token after that', async () => {
    const { program, welcome } = await attach();
    program.credit(0);
    await program.end();
    await expect(new TestProgram(node.address).hello({ resumeToken: welcome.resumeToken })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('nothing at all: its stream ends after 5 s', async () => {
    const program = new TestProgram(node.address);
    const end = await eventually(
      () => {
        if (program.ended === undefined) throw new Error('not yet');
        return program.ended;
      },
      { timeoutMs: 8_000 },
    );
    expect(end).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'NO_HELLO' });
  }, 15_000);
});
