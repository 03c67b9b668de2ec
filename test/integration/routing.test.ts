import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import type { TaskEvent } from '../../src/client/result.js';
import type { RunOptions } from '../../src/client/run-options.js';
import { eventually } from '../support/eventually.js';
import { client, startGateway, startNode, startRegistry } from '../support/roles.js';

interface Echo {
  readonly agent: string;
  readonly node: string;
  readonly traceparent: string | null;
  readonly remainingMs: number;
  readonly input: unknown;
}

let troupe: TroupeClient;
let nodeAddresses: readonly string[];

beforeAll(async () => {
  const registry = await startRegistry();
  const [gateway, ...nodes] = await Promise.all([
    startGateway(registry.address),
    startNode('node-1', registry.address),
    startNode('node-2', registry.address),
  ]);
  nodeAddresses = nodes.map(({ address }) => address);
  troupe = client(gateway.address);
  await eventually(async () => expect(await troupe.nodes()).toMatchObject([{ status: 2 }, { status: 2 }]));
}, 30_000);

/** Deploys agents of a kind that offer `capability`, one on each node. */
async function pair(kind: string, capability: string, limits: { concurrency?: number; mailboxCapacity?: number } = {}) {
  const ids = [1, 2].map((n) => `${capability}-${n}`);
  for (const [index, id] of ids.entries())
    await troupe.deploy({ id, kind, capabilities: [capability], ...limits }, `node-${index + 1}`);
  return ids;
}

async function run(capability: string | readonly string[], input: unknown, options?: RunOptions): Promise<Echo> {
  return (await troupe.run(capability, input as never, options)).json<Echo>();
}

async function count(capability: string, tasks: number, options: RunOptions): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < tasks; n++) {
    const { agent } = await run(capability, n, options);
    counts[agent] = (counts[agent] ?? 0) + 1;
  }
  return counts;
}

/** What an agent works on, and what waits for it. */
async function busy(agentId: string): Promise<{ readonly inFlight: number; readonly queued: number }> {
  const agents = (await Promise.all(['node-1', 'node-2'].map((id) => troupe.agentsOf(id)))).flat();
  const found = agents.find(({ manifest }) => manifest?.id === agentId);
  return { inFlight: found?.inFlight ?? -1, queued: found?.queued ?? -1 };
}

describe('routing', () => {
  it('chooses only agents that have all required capabilities', async () => {
    await troupe.deploy({ id: 'both', kind: 'echo', capabilities: ['red', 'blue'] }, 'node-1');
    await troupe.deploy({ id: 'only-red', kind: 'echo', capabilities: ['red'] }, 'node-2');
    await troupe.deploy({ id: 'only-blue', kind: 'echo', capabilities: ['blue'] }, 'node-2');
    for (let n = 0; n < 8; n++) expect((await run(['red', 'blue'], n)).agent).toBe('both');
    const reds = new Set<string>();
    for (let n = 0; n < 8; n++) reds.add((await run('red', n)).agent);
    expect([...reds].sort()).toEqual(['both', 'only-red']);
  });

  it('takes turns by round robin, mixes at random, and prefers who has less to do', async () => {
    const [first = '', second = ''] = await pair('echo', 'spreading');
    expect(await count('spreading', 10, { strategy: 'round_robin' })).toEqual({ [first]: 5, [second]: 5 });
    const mixed = await count('spreading', 60, { strategy: 'random' });
    expect(Object.keys(mixed).sort()).toEqual([first, second]);

    const [busyId = '', idleId = ''] = await pair('worker', 'working');
    const caller = new AbortController();
    const held = [1, 2, 3].map(() => troupe.run('working', { ms: 60_000 }, { agentId: busyId, signal: caller.signal }));
    await eventually(async () => expect((await busy(busyId)).inFlight).toBe(3));
    for (let n = 0; n < 10; n++)
      expect((await troupe.run('working', { ms: 0 }, { strategy: 'least_connections' })).agentId).toBe(idleId);
    caller.abort();
    await Promise.allSettled(held);
  });

  it('works at the address of a node as well', async () => {
    const ids = await pair('echo', 'near-and-far');
    for (const address of nodeAddresses) {
      const node = client(address);
      await eventually(async () => {
        const agents = new Set<string>();
        for (let n = 0; n < 4; n++) agents.add((await node.run('near-and-far', n)).agentId);
        expect([...agents].sort()).toEqual(ids);
      });
    }
  });

  it('carries deadline and trace context to the agent', async () => {
    await pair('echo', 'looking');
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const { remainingMs, traceparent } = await run('looking', 1, {
      timeoutMs: 4_321,
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    });
    expect(remainingMs).toBeGreaterThan(1_000);
    expect(remainingMs).toBeLessThanOrEqual(4_321);
    // Nobody here adds spans: then it goes on as it came.
    expect(traceparent).toBe(`00-${traceId}-b7ad6b7169203331-01`);
    expect((await run('looking', 1)).remainingMs).toBeGreaterThan(20_000);
  });

  it('ends a task at its deadline, and the work of the agent with it', async () => {
    const [first = ''] = await pair('worker', 'dawdling');
    await expect(troupe.run('dawdling', { ms: 60_000 }, { agentId: first, timeoutMs: 300 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await eventually(async () => expect(await busy(first)).toEqual({ inFlight: 0, queued: 0 }));
  });

  it('keeps payloads as they are, across nodes', async () => {
    await pair('echo', 'mirroring');
    const input = JSON.parse(
      '{"__proto__": {"polluted": true}, "constructor": 1, "nested": [null, 1.5, "ü", {"": []}]}',
    ) as unknown;
    const { input: seen } = await run('mirroring', input);
    expect(JSON.stringify(seen)).toBe(JSON.stringify(input));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    const bytes = await troupe.run('mirroring', new Uint8Array([0, 255, 128]));
    expect(bytes.json<Echo>().input).toBeNull();
  });

  it('goes to another agent where a mailbox is full, and says so when all are', async () => {
    const [first = '', second = ''] = await pair('worker', 'scarcity', { concurrency: 1, mailboxCapacity: 1 });
    const caller = new AbortController();
    const hold = (agentId: string) => troupe.run('scarcity', { ms: 60_000 }, { agentId, signal: caller.signal });
    const held = [hold(first)];
    await eventually(async () => expect(await busy(first)).toEqual({ inFlight: 1, queued: 0 }));
    held.push(hold(first));
    await eventually(async () => expect(await busy(first)).toEqual({ inFlight: 1, queued: 1 }));
    for (let n = 0; n < 4; n++) expect((await troupe.run('scarcity', { ms: 0 })).agentId).toBe(second);

    held.push(hold(second));
    await eventually(async () => expect(await busy(second)).toEqual({ inFlight: 1, queued: 0 }));
    held.push(hold(second));
    await eventually(async () => expect(await busy(second)).toEqual({ inFlight: 1, queued: 1 }));
    await expect(troupe.run('scarcity', { ms: 0 })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'MAILBOX_FULL',
      retryAfterMs: expect.any(Number),
    });
    caller.abort();
    expect((await Promise.allSettled(held)).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    await eventually(async () => expect((await troupe.run('scarcity', { ms: 0 })).attempt).toBe(1));
  });

  it('streams what happens, in order, and ends with the result', async () => {
    await pair('streamer', 'streaming');
    const events: TaskEvent[] = [];
    for await (const event of troupe.runStream('streaming', { chunks: 40 })) events.push(event);
    expect(events.map(({ kind }) => kind)).toEqual(['accepted', 'routed', ...Array(40).fill('chunk'), 'progress', 'result']);
    expect(events.map(({ cursor }) => cursor)).toEqual(events.map((_, index) => BigInt(index + 1)));
    const chunks = events.flatMap((event) => (event.kind === 'chunk' ? [event] : []));
    expect(chunks.map(({ sequence }) => sequence)).toEqual(chunks.map((_, index) => BigInt(index + 1)));
    expect(chunks.map(({ payload: chunk }) => chunk)).toMatchObject(chunks.map((_, index) => ({ json: { n: index } })));
    expect(events.at(-2)).toMatchObject({ kind: 'progress', fraction: 0.5, note: 'half' });
  });

  it('calls the work off when the caller cancels', async () => {
    const [first = ''] = await pair('worker', 'patience');
    const caller = new AbortController();
    const task = troupe.run('patience', { ms: 60_000 }, { agentId: first, signal: caller.signal });
    await eventually(async () => expect((await busy(first)).inFlight).toBe(1));
    caller.abort();
    await expect(task).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(async () => expect((await busy(first)).inFlight).toBe(0), { timeoutMs: 2_000 });
  });

  it('calls the work off when the reader leaves a stream', async () => {
    const [first = ''] = await pair('ticker', 'ticking');
    for await (const event of troupe.runStream([], null, { agentId: first })) {
      if (event.kind !== 'chunk') continue;
      expect((await busy(first)).inFlight).toBe(1);
      break;
    }
    await eventually(async () => expect((await busy(first)).inFlight).toBe(0), { timeoutMs: 2_000 });
  });
});

describe('what goes wrong in agents', () => {
  it('many deadlines that pass do not cost the connection, nor what else is on it', async () => {
    await troupe.deploy({
      id: 'patient',
      kind: 'worker',
      capabilities: ['endurance'],
      concurrency: 10_000,
      mailboxCapacity: 10_000,
    });
    const long = troupe.run('endurance', { ms: 4_000 });
    const ends = new Map<string, number>();
    for (let round = 0; round < 8; round++) {
      const calls = Array.from({ length: 200 }, () => troupe.run('endurance', { ms: 10_000 }, { timeoutMs: 400 }));
      for (const call of await Promise.allSettled(calls)) {
        const end = call.status === 'fulfilled' ? 'done' : String((call.reason as { code: string }).code);
        ends.set(end, (ends.get(end) ?? 0) + 1);
      }
    }
    expect([...ends]).toEqual([['DEADLINE_EXCEEDED', 1_600]]);
    expect(await long).toMatchObject({ agentId: 'patient' });
  });

  it('many streams that are left, or read to their ends, do not cost the connections they went over', async () => {
    await troupe.deploy({
      id: 'streamer',
      kind: 'worker',
      capabilities: ['torrents'],
      concurrency: 10_000,
      mailboxCapacity: 10_000,
    });
    const long = troupe.run('torrents', { ms: 6_000 });
    const readAll = async () => {
      let last = '';
      for await (const { kind } of troupe.runStream('torrents', { ms: 6_000 }, { resumeWindowMs: 0 })) last = kind;
      return last;
    };
    const longStream = readAll();
    const leave = async () => {
      for await (const { kind } of troupe.runStream('torrents', { ms: 60_000 })) if (kind === 'routed') return kind;
      return 'ended';
    };
    const readOn = async () => {
      let last = '';
      for await (const { kind } of troupe.runStream('torrents', { ms: 1 })) {
        last = kind;
        if (kind === 'result') break;
      }
      return last;
    };
    const ends = new Map<string, number>();
    for (let round = 0; round < 6; round++) {
      const streams = Array.from({ length: 400 }, (_, n) => (n % 2 === 0 ? leave() : readOn()));
      for (const end of await Promise.all(streams)) ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    expect(Object.fromEntries(ends)).toEqual({ routed: 1_200, result: 1_200 });
    expect(await long).toMatchObject({ agentId: 'streamer' });
    expect(await longStream).toBe('result');
  });

  it('is told with its own code and reason, or as AGENT_ERROR with its message', async () => {
    await pair('broken', 'breaking');
    await expect(troupe.run('breaking', 'ours')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NO_MODEL',
      message: 'train it first',
    });
    await expect(troupe.run('breaking', 'other')).rejects.toMatchObject({
      code: 'UNKNOWN',
      reason: 'AGENT_ERROR',
      message: expect.stringContaining('the weights are corrupt'),
    });
  });

  it('fails a deployment whose start throws or whose configuration is refused, and leaves nothing of it behind', async () => {
    const failing = { id: 'wrong', kind: 'stubborn' };
    await expect(troupe.deploy(failing, 'node-1')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'AGENT_START_FAILED',
      message: expect.stringContaining('the model file is missing'),
    });
    await expect(troupe.deploy({ id: 'wrong', kind: 'picky', config: { size: -1 } }, 'node-2')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('size must be positive'),
    });
    expect((await troupe.instances({ service: 'agent' })).map(({ id }) => id)).not.toContain('wrong');
    expect(await troupe.deploy({ id: 'wrong', kind: 'picky', config: { size: 1 } }, 'node-2')).toMatchObject({ state: 3 });
  });
});

describe('what callers get wrong', () => {
  it.each([
    ['an unknown capability', () => troupe.run('alchemy'), { code: 'NOT_FOUND', reason: 'NO_AGENT' }],
    ['an unknown agent', () => troupe.run([], null, { agentId: 'nobody' }), { code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT' }],
    [
      'no capability',
      () => troupe.run([]),
      { code: 'INVALID_ARGUMENT', message: expect.stringContaining('task.required_capabilities') },
    ],
    ['an unknown kind', () => troupe.deploy({ id: 'x', kind: 'unheard-of' }), { code: 'NOT_FOUND', reason: 'UNKNOWN_KIND' }],
    ['an unknown node', () => troupe.deploy({ id: 'x', kind: 'echo' }, 'node-9'), { code: 'NOT_FOUND', reason: 'UNKNOWN_NODE' }],
    ['an agent that is not there', () => troupe.undeploy('nobody'), { code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT' }],
  ])('%s is refused', async (_, call, error) => {
    await expect(call()).rejects.toMatchObject(error);
  });

  it('every wrong field is named', async () => {
    await expect(troupe.run(['Upper', 'ok'], null, { id: 'a/b', agentId: '../x' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'task.required_capabilities[0]' }, { field: 'task.id' }, { field: 'task.agent_id' }],
    });
  });

  it('an id that is taken is refused on every node', async () => {
    await troupe.deploy({ id: 'unique', kind: 'echo' }, 'node-1');
    for (const node of ['node-1', 'node-2'])
      await expect(troupe.deploy({ id: 'unique', kind: 'echo' }, node)).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'AGENT_EXISTS',
        message: expect.stringContaining('node-1'),
      });
    expect((await troupe.run([], 1, { agentId: 'unique' })).nodeId).toBe('node-1');
  });
});
