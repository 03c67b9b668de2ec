import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import type { RunStreamOptions } from '../../src/client/run-options.js';
import { payloadJson } from '../../src/core/payload.js';
import { type ChaosCluster, startChaosCluster } from '../support/chaos-cluster.js';
import { eventually } from '../support/eventually.js';
import { percentile, reportFigures } from '../support/figures.js';
import { type Execution, nowMs, readExecutions } from '../support/history.js';
import { startTroupe } from '../support/processes.js';
import { client, startGateway } from '../support/roles.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const STREAMS = 8;
const CHUNKS = 100;
/** The target is 100 ms. */
const CALLED_OFF_BOUND_MS = 500;

interface Streamed {
  readonly id: string;
  /** Numbers of the chunks, in the order in which they came. */
  readonly numbers: number[];
  readonly cursors: bigint[];
  /** When each event came. */
  readonly atMs: number[];
  /** Agents that had it, in order, and which try that was. */
  readonly routed: { readonly nodeId: string; readonly attempt: number }[];
  results: number;
  readonly ended: Promise<unknown>;
}

/** Reads a stream in the background, with a pause after each event, and keeps what it gave. */
function read(troupe: TroupeClient, id: string, input: object, options: RunStreamOptions, pauseMs = 0): Streamed {
  const streamed: Omit<Streamed, 'ended'> = { id, numbers: [], cursors: [], atMs: [], routed: [], results: 0 };
  const follow = async () => {
    for await (const event of troupe.runStream(options.agentId === undefined ? 'stream' : [], input as never, {
      ...options,
      id,
    })) {
      streamed.cursors.push(event.cursor);
      streamed.atMs.push(nowMs());
      if (event.kind === 'chunk') streamed.numbers.push((payloadJson(event.payload) as { readonly n: number }).n);
      if (event.kind === 'routed') streamed.routed.push({ nodeId: event.nodeId, attempt: event.attempt });
      if (event.kind === 'result') streamed.results += 1;
      if (pauseMs > 0) await delay(pauseMs);
    }
  };
  // The same object, so that what is read shows in it.
  return Object.assign(streamed, {
    ended: follow().then(
      () => undefined,
      (error: unknown) => error,
    ),
  });
}

const inOrder = (chunks: number) => Array.from({ length: chunks }, (_, n) => n);
const isGrowing = (cursors: readonly bigint[]) => cursors.every((cursor, i) => i === 0 || cursor > (cursors[i - 1] ?? cursor));

let cluster: ChaosCluster;
let ids = 0;
const newId = (name: string) => `${name}-${testSeed.toString(36)}-${++ids}`;

const executions = (what: string): Promise<Execution[]> =>
  readExecutions(cluster.log).then((all) => all.filter((each) => each.what === what));

describe(`streams (seed ${testSeed})`, () => {
  const random = seededRandom(testSeed);

  beforeAll(async () => {
    cluster = await startChaosCluster(2);
    await cluster.deploy({ id: 'stream', kind: 'streamer', config: { log: cluster.log } });
  }, 30_000);

  it('go on where they were when their gateway is killed and comes back: no chunk is lost, none comes twice', async () => {
    const { registry, nodes } = cluster;
    const gateway = await startGateway(registry.address, '--id', 'doomed');
    const troupe = client(gateway.address);
    const streams = Array.from({ length: STREAMS }, () =>
      read(troupe, newId('resumed'), { chunks: CHUNKS, everyMs: 10 + Math.floor(random.next() * 20) }, { timeoutMs: 30_000 }),
    );
    await eventually(() => expect(Math.min(...streams.map(({ numbers }) => numbers.length))).toBeGreaterThan(20));
    const killedAtMs = nowMs();
    await gateway.process.kill('SIGKILL');
    await startGateway(registry.address, '--id', 'doomed', '--port', String(gateway.port));
    const backAtMs = nowMs();
    const errors = await Promise.all(streams.map(({ ended }) => ended));

    const seenBefore = streams.map(({ atMs }) => atMs.filter((at) => at <= killedAtMs).length);
    const firstAfter = streams.map(({ atMs }) => Math.min(...atMs.filter((at) => at > killedAtMs + 50)));
    const begun = await executions('begun');
    await reportFigures('streams-gateway-killed', {
      streams: streams.length,
      'chunks of each': CHUNKS,
      'events seen before the kill': seenBefore.join(' '),
      'gateway away (ms)': backAtMs - killedAtMs,
      'resumed after it was back, p50 (ms)': percentile(
        firstAfter.map((at) => at - backAtMs),
        50,
      ),
      'resumed after it was back, max (ms)': Math.max(...firstAfter.map((at) => at - backAtMs)),
      'chunks lost': streams.reduce((sum, { numbers }) => sum + CHUNKS - new Set(numbers).size, 0),
      'chunks twice': streams.reduce((sum, { numbers }) => sum + numbers.length - new Set(numbers).size, 0),
    });
    expect(nodes.length).toBe(2);
    expect(errors).toEqual(streams.map(() => undefined));
    for (const { id, numbers, cursors, results } of streams) {
      expect(numbers).toEqual(inOrder(CHUNKS));
      expect(isGrowing(cursors)).toBe(true);
      expect(results).toBe(1);
      expect(begun.filter(({ taskId }) => taskId === id)).toHaveLength(1);
    }
  }, 60_000);

  it('of large chunks, whose reader is slower than their agent, go on as well', async () => {
    const gateway = await startGateway(cluster.registry.address, '--id', 'doomed-2');
    const troupe = client(gateway.address);
    const large = { chunks: 40, everyMs: 0, bytes: 512 * 1024 };
    const streams = [1, 2].map(() => read(troupe, newId('large'), large, { timeoutMs: 40_000 }, 50));
    await eventually(() => expect(Math.min(...streams.map(({ numbers }) => numbers.length))).toBeGreaterThan(10));
    await gateway.process.kill('SIGKILL');
    await startGateway(cluster.registry.address, '--id', 'doomed-2', '--port', String(gateway.port));
    expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual([undefined, undefined]);
    for (const { numbers, results } of streams) {
      expect(numbers).toEqual(inOrder(40));
      expect(results).toBe(1);
    }
  }, 60_000);

  it('that are called off end the work of the agent at once, wherever it is', async () => {
    const { troupe, nodes, gateway } = cluster;
    const node = client(nodes[0].address);
    const cancelled = new Map<string, number>();
    const ways = [
      { by: 'gateway', troupe, agentId: 'stream-1' },
      { by: 'gateway', troupe, agentId: 'stream-2' },
      { by: 'the other node', troupe: node, agentId: 'stream-2' },
      { by: 'its own node', troupe: node, agentId: 'stream-1' },
    ];
    for (let n = 0; n < 60; n++) {
      const { troupe: through, agentId } = ways[n % ways.length] ?? { troupe, agentId: 'stream-1' };
      const id = newId('cancelled');
      const caller = new AbortController();
      const least = Math.floor(random.next() * 4);
      const streamed = read(through, id, { chunks: 10_000, everyMs: 5 }, { agentId, signal: caller.signal });
      await eventually(() => expect(streamed.numbers.length).toBeGreaterThan(least));
      cancelled.set(id, nowMs());
      caller.abort();
      expect(await streamed.ended).toMatchObject({ code: 'CANCELLED' });
    }
    await eventually(async () =>
      expect((await executions('called-off')).filter(({ taskId }) => cancelled.has(taskId))).toHaveLength(60),
    );
    const tookMs = (await executions('called-off')).flatMap(({ taskId, atMs }) => {
      const from = cancelled.get(taskId);
      return from === undefined ? [] : [atMs - from];
    });

    // The command: interrupted; killed where its stream must not outlive it, and where it may.
    const command = async (signal: NodeJS.Signals, resumeWindow: string) => {
      const before = (await executions('begun')).length;
      const run = startTroupe([
        ...['run', 'stream', '--stream', '--json', '{"chunks": 10000, "everyMs": 10}'],
        ...['--resume-window', resumeWindow, '--address', gateway.address],
      ]);
      await run.line((line) => line.includes('5'));
      const task = (await executions('begun'))[before];
      const fromMs = nowMs();
      const gone = run.kill(signal);
      const calledOff = await eventually(
        async () => {
          const found = (await executions('called-off')).find(({ taskId }) => taskId === task?.taskId);
          expect(found).toBeDefined();
          return found;
        },
        { timeoutMs: 10_000 },
      );
      return { exit: await gone, ms: (calledOff?.atMs ?? Number.NaN) - fromMs };
    };
    const interrupted = await command('SIGINT', '30s');
    const killed = await command('SIGKILL', '0s');
    const killedInWindow = await command('SIGKILL', '1s');
    await reportFigures('streams-called-off', {
      cancels: tookMs.length,
      'cancel to signal p50 (ms)': percentile(tookMs, 50),
      'cancel to signal p99 (ms, target 100)': percentile(tookMs, 99),
      'cancel to signal max (ms)': Math.max(...tookMs),
      'troupe run interrupted (ms)': interrupted.ms,
      'troupe run killed, no resume window (ms)': killed.ms,
      'troupe run killed, resume window of 1 s (ms)': killedInWindow.ms,
    });
    expect(percentile(tookMs, 99)).toBeLessThan(CALLED_OFF_BOUND_MS);
    expect(interrupted.exit?.code).toBe(130);
    expect(interrupted.ms).toBeLessThan(CALLED_OFF_BOUND_MS);
    expect(killed.ms).toBeLessThan(CALLED_OFF_BOUND_MS);
    expect(killedInWindow.ms).toBeGreaterThan(900);
    expect(killedInWindow.ms).toBeLessThan(3_000);
  }, 60_000);
});

describe(`idempotent streams (seed ${testSeed})`, () => {
  it('begin anew elsewhere when their node is killed before the first chunk', async () => {
    const { troupe, deploy, nodes, log } = await startChaosCluster(2);
    await deploy({ id: 'stream', kind: 'streamer', config: { log } });
    const victim = nodes[Math.floor(seededRandom(testSeed).next() * nodes.length)] ?? nodes[0];
    const streams = Array.from({ length: STREAMS }, () =>
      read(troupe, newId('begun-anew'), { chunks: 20, everyMs: 5, firstMs: 1_500 }, { idempotent: true }),
    );
    await eventually(async () => expect(await readExecutions(log)).toHaveLength(STREAMS));
    const begunAt = await readExecutions(log);
    const killedAtMs = nowMs();
    await victim.process.kill('SIGKILL');
    const errors = await Promise.all(streams.map(({ ended }) => ended));
    const all = await readExecutions(log);
    const again = all.filter(({ what, attempt }) => what === 'begun' && attempt > 1);
    await reportFigures('streams-node-killed', {
      streams: streams.length,
      'on the node that was killed': streams.filter(({ routed }) => routed.length > 1).length,
      'begun anew after, max (ms)': Math.max(...again.map(({ atMs }) => atMs - killedAtMs)),
      'chunks lost': streams.reduce((sum, { numbers }) => sum + 20 - new Set(numbers).size, 0),
      'chunks twice': streams.reduce((sum, { numbers }) => sum + numbers.length - new Set(numbers).size, 0),
    });
    expect(errors).toEqual(streams.map(() => undefined));
    for (const { numbers, results, routed, cursors } of streams) {
      expect(numbers).toEqual(inOrder(20));
      expect(results).toBe(1);
      expect(isGrowing(cursors)).toBe(true);
      expect(routed.at(-1)?.nodeId).not.toBe(victim.id);
      expect(routed.map(({ attempt }) => attempt)).toEqual(routed.length > 1 ? [1, expect.any(Number)] : [1]);
    }
    const agentOfVictim = `stream-${nodes.indexOf(victim) + 1}`;
    expect(again).toHaveLength(begunAt.filter(({ agentId }) => agentId === agentOfVictim).length);
    expect(again.length).toBeGreaterThan(0);
  }, 60_000);
});
