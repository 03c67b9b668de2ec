import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { TroupeError } from '../../src/core/errors.js';
import { payloadJson } from '../../src/core/payload.js';
import { Arrivals } from '../support/arrivals.js';
import { startChaosCluster } from '../support/chaos-cluster.js';
import { percentile, reportFigures } from '../support/figures.js';
import { nowMs } from '../support/history.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const PER_SECOND = 100;
const MOVES = 6;

describe(`an agent that moves from node to node under requests (seed ${testSeed})`, () => {
  it('answers all of them', async () => {
    const { nodes, troupe } = await startChaosCluster(3);
    await troupe.deploy({ id: 'talker', kind: 'talker' }, 'node-3');
    await troupe.deploy({ id: 'nomad', kind: 'listener' }, 'node-1');
    const ends: Record<string, number> = {};
    const tookMs: number[] = [];
    const nodeIds = new Set<string>();
    let count = 0;
    const arrivals = new Arrivals(PER_SECOND, seededRandom(testSeed), async () => {
      const atMs = nowMs();
      // Half through the gateway, half from an agent.
      count += 1;
      const asked =
        count % 2 === 0
          ? troupe.request('nomad', { n: count }, { timeoutMs: 5_000 }).then((reply) => reply.json<{ node: string }>().node)
          : troupe
              .run(
                [],
                { do: 'request', to: 'nomad', payload: { n: count }, options: { timeoutMs: 5_000 } },
                { agentId: 'talker' },
              )
              .then(({ payload }) => (payloadJson(payload) as { answer: { node: string } }).answer.node);
      const end = await asked.then(
        (nodeId) => {
          nodeIds.add(nodeId);
          return 'done';
        },
        (error: TroupeError) => `${error.code}/${error.reason}`,
      );
      ends[end] = (ends[end] ?? 0) + 1;
      tookMs.push(nowMs() - atMs);
    });
    const movedMs: number[] = [];
    for (let move = 0; move < MOVES; move++) {
      await delay(500);
      const fromMs = nowMs();
      await troupe.undeploy('nomad');
      await troupe.deploy({ id: 'nomad', kind: 'listener' }, nodes[(move + 1) % 3]?.id);
      movedMs.push(nowMs() - fromMs);
    }
    await delay(500);
    await arrivals.stop();
    const { done = 0, ...failed } = ends;
    await reportFigures('messages-moving', {
      moves: MOVES,
      'a move took, p50 (ms)': percentile(movedMs, 50),
      'requests answered': done,
      'requests failed':
        Object.entries(failed)
          .map(([end, times]) => `${end} ${times}`)
          .join(', ') || 0,
      'p50 (ms)': percentile(tookMs, 50),
      'p99 (ms)': percentile(tookMs, 99),
      'max (ms)': Math.max(...tookMs),
    });
    expect(failed).toEqual({});
    expect(done).toBeGreaterThan(200);
    expect(nodeIds.size).toBe(3);
  }, 60_000);
});
