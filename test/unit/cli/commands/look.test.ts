import { describe, expect, test } from '@jest/globals';
import { TroupeError } from '../../../../src/core/errors.js';
import { AgentState } from '../../../../src/gen/troupe/v1/agent.js';
import { CircuitState, CircuitStatus } from '../../../../src/gen/troupe/v1/health.js';
import { InstanceStatus } from '../../../../src/gen/troupe/v1/instance.js';
import { GetStatusResponse } from '../../../../src/gen/troupe/v1/node.js';
import { GetStatsResponse } from '../../../../src/gen/troupe/v1/registry.js';
import { eventually } from '../../../support/eventually.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { CapturedIo } from '../captured-io.js';
import { type FakeHandlers, fakeCluster, troupe } from '../fake-cluster.js';
import { agent, agentStatus, NOW_MS, node } from '../messages.js';

const io = (options: ConstructorParameters<typeof CapturedIo>[0] = {}) =>
  Object.assign(new CapturedIo(options), { clock: new FakeClock(NOW_MS) });

const OPEN = CircuitStatus.fromPartial({ state: CircuitState.CIRCUIT_STATE_OPEN });

/** Two nodes, of which the second does not answer; three agents, of which one failed. */
const twoNodes: FakeHandlers = {
  registry: {
    listInstances: ({ service }) => ({
      instances:
        service === 'node'
          ? [node('node-1'), node('node-22', { status: InstanceStatus.INSTANCE_STATUS_DOWN, score: 0 })]
          : [agent('data-1', 'node-1'), agent('data-2', 'node-22')],
      nextPageToken: '',
      revision: 9n,
      age: undefined,
    }),
    getStats: () =>
      GetStatsResponse.fromPartial({
        instances: 4,
        services: [
          {
            service: 'node',
            instances: 2,
            statuses: [
              { status: InstanceStatus.INSTANCE_STATUS_UP, instances: 1 },
              { status: InstanceStatus.INSTANCE_STATUS_DOWN, instances: 1 },
            ],
            failing: 1,
            inFlight: 5,
            queued: 6,
            reporting: 1,
          },
          { service: 'thing', instances: 2, statuses: [{ status: InstanceStatus.INSTANCE_STATUS_UP, instances: 2 }] },
        ],
        capabilities: [{ capability: 'data_processing', up: 1, instances: 2 }],
        watchers: 3,
        keepAlives: 2,
        revision: 42n,
        age: { seconds: 0n, nanos: 250_000_000 },
        startedAt: new Date(NOW_MS - 3_600_000),
        leading: true,
        circuits: [
          {
            reporterService: 'gateway',
            reporterId: 'gw-1',
            circuit: {
              service: 'node',
              id: 'node-22',
              state: CircuitState.CIRCUIT_STATE_OPEN,
              consecutiveFailures: 5,
              successes: 1n,
              failures: 7n,
              rejected: 9n,
              openings: 2,
              since: new Date(NOW_MS - 4_000),
              nextTryAt: new Date(NOW_MS + 2_500),
              lastFailure: 'connection refused',
            },
          },
          {
            reporterService: 'node',
            reporterId: 'node-1',
            circuit: { service: 'agent', id: 'ai-1', state: CircuitState.CIRCUIT_STATE_HALF_OPEN, consecutiveFailures: 3 },
          },
        ],
      }),
  },
  node: {
    getStatus: ({ nodeId }) => {
      if (nodeId === 'node-22') throw new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'cannot connect to node-22');
      return GetStatusResponse.fromPartial({ inFlight: 5, queued: 6, version: '0.1.0' });
    },
    listAgents: ({ nodeId }) => {
      if (nodeId === 'node-9') throw new TroupeError('NOT_FOUND', 'UNKNOWN_NODE', 'no node "node-9" in the cluster');
      if (nodeId === 'node-22') throw new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'cannot connect to node-22');
      const failed = agentStatus('ai-1', nodeId, { state: AgentState.AGENT_STATE_FAILED, failure: 'no model', circuit: OPEN });
      return { agents: [failed, agentStatus('data-1', nodeId)], nextPageToken: '' };
    },
  },
};

const nothing: FakeHandlers = {
  registry: { listInstances: () => ({ instances: [], nextPageToken: '', revision: 1n, age: undefined }) },
};

describe('troupe nodes', () => {
  test('lists the nodes; of one that does not answer, what the registry knows', async () => {
    const { code, io: printed } = await troupe(await fakeCluster(twoNodes), ['nodes'], io());
    expect(printed.lines).toEqual([
      'ID       ADDRESS         STATUS  ZONE  AGENTS  IN-FLIGHT  KINDS    AGE  HEARTBEAT  SCORE',
      'node-1   127.0.0.1:8765  UP      a     1       5          ai,data  3m   2s         0.96',
      'node-22  127.0.0.1:8765  DOWN    a     1       -          ai,data  3m   2s         0.00',
    ]);
    expect(printed.err).toBe('warning: node node-22 did not answer: cannot connect to node-22\n');
    expect(code).toBe(0);
  });

  test('says so where it is what a gateway knew before the registry was away', async () => {
    const page = (seconds: bigint) => ({ instances: [], nextPageToken: '', revision: 1n, age: { seconds, nanos: 0 } });
    const warnings = async (age: bigint, command: string) =>
      (await troupe(await fakeCluster({ registry: { listInstances: () => page(age) } }), [command], io())).io.err;
    const warning = 'warning: the registry is not reached: this is the cluster as it was 42 s ago\n';
    for (const command of ['nodes', 'agents', 'dead-letters']) {
      expect(await warnings(42n, command)).toContain(warning);
      expect(await warnings(2n, command)).not.toContain('warning');
    }
  });

  test('gives the same to programs', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['nodes', '--output', 'json'], io());
    const [first, second] = JSON.parse(printed.out);
    expect(first).toEqual({
      id: 'node-1',
      address: '127.0.0.1:8765',
      status: 'UP',
      zone: 'a',
      weight: 10,
      agents: 1,
      inFlight: 5,
      queued: 6,
      draining: false,
      version: '0.1.0',
      kinds: ['ai', 'data'],
      metadata: {},
      registeredAt: '2026-01-01T11:57:00.000Z',
      lastHeartbeatAt: '2026-01-01T11:59:58.000Z',
      incarnation: 7,
      revision: 9,
      score: 0.96,
      probe: null,
    });
    expect(second).toMatchObject({ id: 'node-22', status: 'DOWN', inFlight: null, version: null });
  });

  test('colours the status on a terminal', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['nodes'], io({ isTTY: true }));
    expect(printed.out).toContain('\u001b[32mUP\u001b[39m    ');
    expect(printed.out).toContain('\u001b[31mDOWN\u001b[39m');
  });

  test('shows which of them fail the health checks of the registry, and why', async () => {
    const probe = { failing: true, reason: 'no answer', since: new Date(NOW_MS - 4_000), registryId: 'registry-1' };
    const address = await fakeCluster({
      ...twoNodes,
      registry: {
        listInstances: ({ service }) => ({
          instances: service === 'node' ? [node('node-1', { probe }), node('node-2')] : [],
          nextPageToken: '',
          revision: 9n,
          age: undefined,
        }),
      },
    });
    const { io: printed } = await troupe(address, ['nodes'], io({ isTTY: true }));
    expect(printed.out).toContain('\u001b[31mUP (failing)\u001b[39m');
    expect(printed.out).toContain('\u001b[32mUP\u001b[39m           ');
    const { io: json } = await troupe(address, ['nodes', '-o', 'json'], io());
    expect(JSON.parse(json.out)).toMatchObject([
      {
        status: 'UP',
        probe: { failing: true, reason: 'no answer', since: '2026-01-01T11:59:56.000Z', registryId: 'registry-1' },
      },
      { status: 'UP', probe: null },
    ]);
  });

  test('says so where there are none', async () => {
    const { code, io: printed } = await troupe(await fakeCluster(nothing), ['nodes']);
    expect({ code, out: printed.out, err: printed.err }).toEqual({ code: 0, out: '', err: 'No nodes.\n' });
  });

  test('does not wait for a node that hangs, and leaves no call behind', async () => {
    let calledOff = 0;
    const hang = (signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          calledOff += 1;
          reject(new TroupeError('CANCELLED', 'CANCELLED', 'called off'));
        });
      });
    const address = await fakeCluster({ ...twoNodes, node: { getStatus: (_request, { signal }) => hang(signal) } });
    const { code, io: printed } = await troupe(address, ['nodes'], io());
    expect(code).toBe(0);
    expect(printed.lines).toHaveLength(3);
    expect(printed.err).toContain('node-1 did not answer');
    await eventually(() => expect(calledOff).toBe(2));
  });

  test('asks every page of the registry', async () => {
    const address = await fakeCluster({
      registry: {
        listInstances: ({ service, pageToken }) => ({
          instances: service === 'node' ? [node(pageToken === '' ? 'node-1' : 'node-2')] : [],
          nextPageToken: pageToken === '' ? 'more' : '',
          revision: 1n,
          age: undefined,
        }),
      },
    });
    const { io: printed } = await troupe(address, ['nodes', '-o', 'json']);
    expect(JSON.parse(printed.out)).toMatchObject([{ id: 'node-1' }, { id: 'node-2' }]);
    // What does not serve Node, a registry, is no node that fails to answer.
    expect(printed.err).toBe('');
  });
});

describe('troupe agents', () => {
  test('lists the agents of all nodes, and says why one failed', async () => {
    const { code, io: printed } = await troupe(await fakeCluster(twoNodes), ['agents'], io());
    expect(printed.lines).toEqual([
      'ID      KIND  NODE     STATE    CAPABILITIES     IN-FLIGHT  QUEUED  COMPLETED  FAILED  REFUSED  MESSAGES  CIRCUIT  AGE',
      'ai-1    data  node-1   FAILED   data_processing  1          2       30         4       6        17        OPEN     5s',
      'data-1  data  node-1   RUNNING  data_processing  1          2       30         4       6        17        CLOSED   12s',
      'data-2  data  node-22  UNKNOWN  data_processing  -          -       -          -       -        -         -        12s',
    ]);
    expect(printed.err).toBe('warning: node node-22 did not answer: cannot connect to node-22\nai-1 failed: no model\n');
    expect(code).toBe(0);
  });

  test('lists those of one node', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['agents', '--node', 'node-1', '-o', 'json'], io());
    expect(JSON.parse(printed.out)).toMatchObject([
      { id: 'ai-1', state: 'FAILED', failure: 'no model' },
      {
        id: 'data-1',
        nodeId: 'node-1',
        inFlight: 1,
        queued: 2,
        completed: 30,
        failed: 4,
        refused: 6,
        messagesHandled: 17,
        circuit: 'CLOSED',
        failure: '',
      },
    ]);
    expect(printed.err).toBe('');
  });

  test('gives programs null for what only a node that does not answer knows', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['agents', '-o', 'json'], io());
    expect(JSON.parse(printed.out)[2]).toEqual({
      id: 'data-2',
      kind: 'data',
      nodeId: 'node-22',
      state: 'UNKNOWN',
      failure: '',
      capabilities: ['data_processing'],
      inFlight: null,
      queued: null,
      completed: null,
      failed: null,
      refused: null,
      messagesInFlight: null,
      messagesQueued: null,
      messagesHandled: null,
      messagesRefused: null,
      circuit: null,
      registeredAt: '2026-01-01T11:59:48.000Z',
    });
  });

  test('colours the circuit on a terminal', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['agents'], io({ isTTY: true }));
    expect(printed.out).toContain('\u001b[31mOPEN\u001b[39m');
    expect(printed.out).toContain('\u001b[32mCLOSED\u001b[39m');
  });

  test('refuses a node that is not there', async () => {
    const { code, io: printed } = await troupe(await fakeCluster(twoNodes), ['agents', '--node', 'node-9']);
    expect({ code, err: printed.err }).toEqual({
      code: 4,
      err: 'error: no node "node-9" in the cluster (NOT_FOUND UNKNOWN_NODE)\n',
    });
  });

  test('says so where there are none', async () => {
    const { code, io: printed } = await troupe(await fakeCluster(nothing), ['agents']);
    expect({ code, out: printed.out, err: printed.err }).toEqual({ code: 0, out: '', err: 'No agents.\n' });
    expect((await troupe(await fakeCluster(nothing), ['agents', '-o', 'json'])).io.out).toBe('[]\n');
  });
});

describe('troupe stats', () => {
  test('shows the counts', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['stats'], io());
    expect(printed.lines).toEqual([
      'INSTANCES  WATCHERS  LEASES  REVISION  AGE     STARTED  LEADING',
      '4          3         2       42        250 ms  1h       yes',
      '',
      'SERVICE  INSTANCES  STATUSES      FAILING  IN-FLIGHT  QUEUED  REPORTING',
      'node     2          1 UP, 1 DOWN  1        5          6       1',
      'thing    2          2 UP          0        -          -       0',
      '',
      'CAPABILITY       AGENTS  UP',
      'data_processing  2       1',
      '',
      'REPORTER      CIRCUIT       STATE      FAILURES  NEXT-TRY',
      'gateway/gw-1  node/node-22  OPEN       5         in 2.5 s',
      'node/node-1   agent/ai-1    HALF_OPEN  3         -',
    ]);
  });

  test('gives the same to programs', async () => {
    const { io: printed } = await troupe(await fakeCluster(twoNodes), ['stats', '-o', 'json'], io());
    expect(JSON.parse(printed.out)).toEqual({
      instances: 4,
      services: [
        { service: 'node', instances: 2, statuses: { UP: 1, DOWN: 1 }, failing: 1, inFlight: 5, queued: 6, reporting: 1 },
        { service: 'thing', instances: 2, statuses: { UP: 2 }, failing: 0, inFlight: 0, queued: 0, reporting: 0 },
      ],
      capabilities: [{ capability: 'data_processing', agents: 2, up: 1 }],
      watchers: 3,
      leases: 2,
      revision: 42,
      ageMs: 250,
      startedAt: '2026-01-01T11:00:00.000Z',
      leading: true,
      circuits: [
        {
          reporter: { service: 'gateway', id: 'gw-1' },
          service: 'node',
          id: 'node-22',
          state: 'OPEN',
          consecutiveFailures: 5,
          successes: 1,
          failures: 7,
          rejected: 9,
          openings: 2,
          since: '2026-01-01T11:59:56.000Z',
          nextTryAt: '2026-01-01T12:00:02.500Z',
          lastFailure: 'connection refused',
        },
        expect.objectContaining({ id: 'ai-1', state: 'HALF_OPEN', since: null, nextTryAt: null, lastFailure: '' }),
      ],
    });
  });

  test('says what to do at an address that is no gateway', async () => {
    const { code, io: printed } = await troupe(await fakeCluster(), ['stats']);
    expect(code).toBe(4);
    expect(printed.err).toContain('the process at this address does not serve that; give --address of a gateway');
  });
});
