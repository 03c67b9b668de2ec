import { describe, expect, test } from '@jest/globals';
import { HealthState } from '../../../../src/gen/troupe/v1/health.js';
import { GetStatusResponse, type WatchHealthResponse } from '../../../../src/gen/troupe/v1/node.js';
import { eventually } from '../../../support/eventually.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { CapturedIo } from '../captured-io.js';
import { fakeCluster, troupe } from '../fake-cluster.js';
import { NOW_MS } from '../messages.js';

const io = () => Object.assign(new CapturedIo(), { clock: new FakeClock(NOW_MS) });

const ejected = {
  service: 'agent',
  id: 'data-1',
  nodeId: 'node-1',
  state: HealthState.HEALTH_STATE_EJECTED,
  reason: '5 failures in a row',
  since: new Date(NOW_MS - 3_000),
  until: new Date(NOW_MS + 7_000),
};

const EVENTS: WatchHealthResponse[] = [
  { event: { $case: 'current', value: ejected } },
  {
    event: {
      $case: 'transition',
      value: {
        instance: { ...ejected, state: HealthState.HEALTH_STATE_HEALTHY, reason: '' },
        from: HealthState.HEALTH_STATE_EJECTED,
      },
    },
  },
  {
    event: {
      $case: 'transition',
      value: {
        instance: { ...ejected, service: 'node', id: 'node-2', nodeId: '', state: HealthState.HEALTH_STATE_HEALTHY, reason: '' },
        from: HealthState.HEALTH_STATE_UNSPECIFIED,
      },
    },
  },
];

const cluster = (asked: string[] = [], unhealthy = [ejected]) =>
  fakeCluster({
    node: {
      getStatus: ({ nodeId }) => {
        asked.push(nodeId);
        return GetStatusResponse.fromPartial({ unhealthy });
      },
      async *watchHealth({ nodeId }, call) {
        asked.push(nodeId);
        yield* EVENTS;
        await new Promise<void>((resolve) => call.onCancel(() => resolve()));
      },
    },
  });

describe('troupe health', () => {
  test('shows who is not healthy, why, and when that is looked at again', async () => {
    const { code, io: out } = await troupe(await cluster(), ['health'], io());
    expect(code).toBe(0);
    expect(out.lines).toEqual([
      'SERVICE  ID      NODE    HEALTH   SINCE  LOOKS-AGAIN-IN  WHY',
      'agent    data-1  node-1  EJECTED  3s     7 s             5 failures in a row',
    ]);
  });

  test('says so when all are', async () => {
    const { code, io: out } = await troupe(await cluster([], []), ['health'], io());
    expect([code, out.out, out.err]).toEqual([0, '', 'All nodes and agents are healthy.\n']);
  });

  test('gives JSON, as a node sees it', async () => {
    const asked: string[] = [];
    const { io: out } = await troupe(await cluster(asked), ['health', '--node', 'node-9', '--output', 'json'], io());
    expect(asked).toEqual(['node-9']);
    expect(JSON.parse(out.out)).toEqual([
      {
        service: 'agent',
        id: 'data-1',
        nodeId: 'node-1',
        state: 'EJECTED',
        reason: '5 failures in a row',
        since: ejected.since.toISOString(),
        until: ejected.until.toISOString(),
      },
    ]);
  });

  test.each([
    [
      'text',
      [
        expect.stringMatching(/Z agent data-1 on node-1 is EJECTED: 5 failures in a row$/),
        expect.stringMatching(/Z agent data-1 on node-1 is HEALTHY \(was EJECTED\)$/),
        expect.stringMatching(/Z node node-2 is HEALTHY \(new\)$/),
      ],
    ],
    [
      'json',
      [
        expect.stringContaining('"state":"EJECTED"'),
        expect.stringContaining('"from":"EJECTED","to":"HEALTHY"'),
        expect.stringContaining('"from":null,"to":"HEALTHY"'),
      ],
    ],
  ])('watches until Ctrl-C, as %s', async (format, expected) => {
    const out = io();
    const running = troupe(await cluster(), ['health', '--watch', ...(format === 'json' ? ['--output', 'json'] : [])], out);
    await eventually(() => expect(out.lines).toEqual(expected));
    out.controller.abort();
    expect((await running).code).toBe(130);
  });
});
