import { describe, expect, test } from '@jest/globals';
import { TroupeError } from '../../../../src/core/errors.js';
import { eventually } from '../../../support/eventually.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { CapturedIo } from '../captured-io.js';
import { type FakeHandlers, fakeCluster, troupe } from '../fake-cluster.js';
import { agent, agentStatus, NOW_MS, node } from '../messages.js';

/** Tasks in flight of each agent, by its node; a node without agents that are told does not answer. */
type Loads = Readonly<Record<string, Readonly<Record<string, number>> | 'silent'>>;

/**
 * A cluster of agents of the kind `data`, whose load may change while it runs. `also` is registered besides what has load: nodes that
 * nobody knows any more, and agents of nodes that do not tell of them.
 */
function loadedCluster(
  loads: Loads,
  also: { readonly nodes?: readonly string[]; readonly agents?: Readonly<Record<string, string>> } = {},
) {
  const state = { loads, asked: 0 };
  const agents = () => [
    ...Object.entries(state.loads).flatMap(([nodeId, load]) =>
      load === 'silent' ? [] : Object.keys(load).map((id) => agent(id, nodeId)),
    ),
    ...Object.entries(also.agents ?? {}).map(([id, nodeId]) => agent(id, nodeId)),
  ];
  const nodes = () => [...Object.keys(state.loads), ...(also.nodes ?? [])].map((id) => node(id));
  const handlers = {
    registry: {
      listInstances: ({ service }) => ({
        instances: service === 'node' ? nodes() : agents(),
        nextPageToken: '',
        revision: 9n,
        age: undefined,
      }),
    },
    node: {
      listAgents: ({ nodeId }) => {
        state.asked += 1;
        const load = state.loads[nodeId];
        if (load === undefined) throw new TroupeError('NOT_FOUND', 'UNKNOWN_NODE', `no node "${nodeId}" in the cluster`);
        if (load === 'silent') throw new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', `cannot connect to ${nodeId}`);
        const told = Object.entries(load).map(([id, inFlight]) => agentStatus(id, nodeId, { inFlight, queued: 0 }));
        return { agents: told, nextPageToken: '' };
      },
    },
  } satisfies FakeHandlers;
  return { ...handlers, state };
}

/** `troupe scale advise` with a clock that stands still. `nextSample` lets the pause between two samples pass. */
async function advise(cluster: FakeHandlers, args: readonly string[] = []) {
  const clock = new FakeClock(NOW_MS);
  const io = Object.assign(new CapturedIo(), { clock });
  const done = troupe(await fakeCluster(cluster), ['scale', 'advise', ...args], io);
  const nextSample = async (ms = 1_000) => {
    await eventually(() => expect(clock.pending).toBe(1));
    await clock.advance(ms);
  };
  return { io, clock, done, nextSample };
}

const BUSY: Loads = { 'node-1': { 'data-1': 150, 'data-2': 90 } };
const IDLE: Loads = { 'node-1': { 'data-1': 3, 'data-2': 0 } };

describe('troupe scale advise', () => {
  test('advises more instances after three samples, a second apart', async () => {
    const cluster = loadedCluster(IDLE);
    const { io, clock, done, nextSample } = await advise(cluster);
    await nextSample();
    expect(io.out).toBe('');
    cluster.state.loads = BUSY;
    await nextSample();
    expect((await done).code).toBe(0);
    expect(io.lines).toEqual([
      'GROUP  INSTANCES  CONNECTIONS  AVERAGE  ADVICE   WHY',
      'data   2          240          120.0    up to 5  average 120 exceeds 100, 5 are needed for 50 each',
    ]);
    expect(io.err).toBe('');
    expect(cluster.state.asked).toBe(3);
    expect(clock.pending).toBe(0);
  });

  test('advises fewer only where all samples do', async () => {
    const always = await advise(loadedCluster(IDLE), ['--samples', '2']);
    await always.nextSample();
    await always.done;
    expect(always.io.lines[1]).toBe('data   2          3            1.5      down to 1  average 1.5 is below 10');

    const cluster = loadedCluster(BUSY);
    const lately = await advise(cluster, ['--samples', '2']);
    await eventually(() => expect(lately.clock.pending).toBe(1));
    cluster.state.loads = IDLE;
    await lately.nextSample();
    await lately.done;
    expect(lately.io.lines[1]).toContain('keep    average 1.5 is below 10, but 5 were needed within the last 1 s');
  });

  test('says which node does not answer, once, and takes its agents for neither idle nor busy', async () => {
    const cluster = loadedCluster({ ...IDLE, 'node-2': 'silent' }, { agents: { 'data-3': 'node-2' } });
    const { io, done, nextSample } = await advise(cluster, ['--samples', '2']);
    await nextSample();
    expect((await done).code).toBe(0);
    expect(io.lines[1]).toBe(
      'data   3          3            1.5      keep    average 1.5 is below 10, but not certainly; 1 did not answer',
    );
    expect(io.err).toBe('warning: node node-2 did not answer: cannot connect to node-2\n');
  });

  test('leaves out a node that left since it was listed, and its agents', async () => {
    const cluster = loadedCluster(BUSY, { nodes: ['node-9'], agents: { 'data-9': 'node-9' } });
    const { io, done } = await advise(cluster, ['--samples', '1', '--by', 'service']);
    await done;
    expect(io.err).toBe('');
    expect(io.lines.slice(1)).toEqual([
      'agent  2          240          120.0    up to 5  average 120 exceeds 100, 5 are needed for 50 each',
      'node   1          240          240.0    up to 5  average 240 exceeds 100, 5 are needed for 50 each',
    ]);
  });

  test('takes thresholds and bounds, and groups by capability', async () => {
    const { io, done } = await advise(loadedCluster(BUSY), [
      ...['--samples', '1', '--by', 'capability'],
      ...['--up-above', '20.5', '--target', '20', '--down-below', '0', '--min', '2', '--max', '9'],
    ]);
    await done;
    expect(io.lines[1]).toBe(
      'data_processing  2          240          120.0    up to 9  average 120 exceeds 20.5, 12 are needed for 20 each, but at most 9 allowed',
    );
  });

  test('gives the same to programs, with the history and the policy', async () => {
    const cluster = loadedCluster(IDLE);
    const { io, done, nextSample } = await advise(cluster, ['--samples', '2', '--interval', '5s', '-o', 'json']);
    await nextSample(5_000);
    await done;
    expect(JSON.parse(io.out)).toEqual({
      by: 'kind',
      report: {
        time: '2026-01-01T12:00:05.000Z',
        groups: [{ group: 'data', instances: 2, silent: 0, connections: 3, average: 1.5 }],
      },
      history: {
        reports: 2,
        since: '2026-01-01T12:00:00.000Z',
        groups: [{ group: 'data', reports: 2, lowest: 1.5, mean: 1.5, highest: 1.5 }],
      },
      policy: {
        scaleUpAbove: 100,
        target: 50,
        scaleDownBelow: 10,
        minInstances: 1,
        maxInstances: null,
        stabiliseUpMs: 0,
        stabiliseDownMs: 5_000,
      },
      suggestions: [{ group: 'data', kind: 'down', from: 2, to: 1, reason: 'average 1.5 is below 10' }],
    });
  });

  test('says so where there is nothing to scale', async () => {
    const { io, done } = await advise(loadedCluster({}), ['--samples', '1']);
    expect((await done).code).toBe(0);
    expect({ out: io.out, err: io.err }).toEqual({ out: '', err: 'No agents.\n' });
  });
});

describe('troupe scale advise --watch', () => {
  test('prints advice again when it changes, and goes on until Ctrl-C', async () => {
    const cluster = loadedCluster(BUSY);
    const { io, clock, done, nextSample } = await advise(cluster, ['--watch', '--samples', '1', '-o', 'json']);
    const advices = () => io.lines.map((line) => JSON.parse(line).suggestions[0].to);
    await nextSample();
    await nextSample();
    expect(advices()).toEqual([5]);
    cluster.state.loads = { 'node-1': { 'data-1': 200, 'data-2': 101 } };
    await nextSample();
    await eventually(() => expect(advices()).toEqual([5, 7]));
    await eventually(() => expect(clock.pending).toBe(1));
    io.controller.abort();
    expect((await done).code).toBe(130);
    await eventually(() => expect(clock.pending).toBe(0));
    expect(io.err).toBe('');
  });

  test('separates tables, and keeps what its history covers for a down', async () => {
    const cluster = loadedCluster(BUSY);
    const { io, clock, done, nextSample } = await advise(cluster, ['--watch', '--samples', '1', '--stabilise', '2s']);
    await eventually(() => expect(clock.pending).toBe(1));
    cluster.state.loads = IDLE;
    for (let sample = 0; sample < 3; sample++) await nextSample();
    await eventually(() => expect(io.lines).toHaveLength(8));
    io.controller.abort();
    await done;
    const [, up, gap, , keep, , , down] = io.lines;
    expect(gap).toBe('');
    expect([up, keep, down].map((line) => line?.slice(39))).toEqual([
      ' up to 5  average 120 exceeds 100, 5 are needed for 50 each',
      ' keep    average 1.5 is below 10, but known for 1 s of 2 s only',
      ' down to 1  average 1.5 is below 10',
    ]);
  });
});

describe('troupe scale advise is refused', () => {
  test.each<[readonly string[], string]>([
    [['--up-above', '40'], '--up-above must be a number above the target, which is 50'],
    [['--down-below', '50'], '--down-below must be a number from 0 to below the target, which is 50'],
    [['--target', '0'], '--target must be a number above 0'],
    [['--min', '3', '--max', '2'], '--max must be a whole number of at least 3'],
    [
      ['--stabilise', '5m'],
      '--stabilise 300 s is longer than what the samples cover, 2 s: give more --samples, a longer --interval, or --watch',
    ],
    [['--watch', '--stabilise', '5m'], '--stabilise 300 s is longer than what the samples cover, 99 s: give a longer --interval'],
    [['--samples', '101'], "option '--samples <n>' argument '101' is invalid. It must be a whole number from 1 to 100."],
    [['--by', 'node'], "option '--by <group>' argument 'node' is invalid. Allowed choices are kind, capability, service."],
    [['--target', '-1'], "option '--target <average>' argument '-1' is invalid. It must be a number, such as 100 or 12.5."],
  ])('with %j', async (args, message) => {
    const { code, io } = await troupe('127.0.0.1:1', ['scale', 'advise', ...args]);
    expect({ code, out: io.out, err: io.err }).toEqual({
      code: 2,
      out: '',
      err: `error: ${message}\nrun \`troupe scale advise --help\`\n`,
    });
  });

  test('at a registry, which knows nodes but does not ask them', async () => {
    const { registry } = loadedCluster(BUSY);
    const { code, io } = await troupe(await fakeCluster({ registry }), ['scale', 'advise']);
    expect({ code, out: io.out }).toEqual({ code: 4, out: '' });
    expect(io.err).toContain('give --address of a gateway');
  });
});

test('troupe scale without a subcommand prints its help', async () => {
  const { code, io } = await troupe('127.0.0.1:1', ['scale']);
  expect({ code, out: io.out }).toEqual({ code: 2, out: '' });
  expect(io.err).toContain('advise [options]');
});
