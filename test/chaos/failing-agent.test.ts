import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { CircuitState, healthStateToJSON } from '../../src/gen/troupe/v1/health.js';
import { Arrivals } from '../support/arrivals.js';
import { startChaosCluster } from '../support/chaos-cluster.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { percentOf, reportFigures } from '../support/figures.js';
import { History, isDone, isFailed, nowMs, type Operation } from '../support/history.js';
import { runTroupe } from '../support/run-command.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const TASKS_PER_SECOND = 250;
const FAILING = 0.5;
/** From when on few tasks may fail, and for how long that is looked at: long enough for it to be tried again, and to fail again. */
const SETTLED_AFTER_MS = 4_000;
const SETTLED_MS = 14_000;
/** The second ejection takes 20 s. */
const BACK_BOUND_MS = 35_000;

interface StatsJson {
  readonly circuits: readonly { readonly id: string; readonly state: string; readonly reporter: { readonly id: string } }[];
}

describe(`one of five agents fails half of its tasks (seed ${testSeed})`, () => {
  it('it is set aside, which everybody can see, and comes back when it works again', async () => {
    const { troupe, gateway, deploy, nodes } = await startChaosCluster(5);
    const random = seededRandom(testSeed);
    const n = Math.floor(random.next() * nodes.length) + 1;
    const [agentId, nodeId] = [`work-${n}`, `node-${n}`];
    await deploy({ id: 'work', kind: 'worker', config: { ms: 5 } });
    await troupe.deploy({ id: 'control-1', kind: 'control' }, nodeId);
    const setFailing = (failing: number) => troupe.run('control', { agentId, failing });
    const states: string[] = [];
    const watching = new AbortController();
    const watch = (async () => {
      for await (const { event } of troupe.watchHealth('', watching.signal))
        if (event?.$case === 'transition' && event.value.instance?.id === agentId)
          states.push(healthStateToJSON(event.value.instance.state).replace('HEALTH_STATE_', ''));
    })().catch(() => undefined);
    cleanUp(async () => {
      watching.abort();
      await watch;
    });

    const history = new History(testSeed);
    await setFailing(FAILING);
    const fromMs = nowMs();
    const arrivals = new Arrivals(TASKS_PER_SECOND, random, () => history.record((id) => troupe.run('work', null, { id })));
    const circuits = await eventually(
      async () => {
        const { circuits } = await troupe.status(nodeId);
        const circuit = circuits.find(({ id, state }) => id === agentId && state !== CircuitState.CIRCUIT_STATE_CLOSED);
        const reported = (await troupe.stats()).circuits.find(({ circuit }) => circuit?.id === agentId);
        expect({ circuit, reported }).toEqual({ circuit: expect.anything(), reported: expect.anything() });
        return { circuit, reported };
      },
      { timeoutMs: 15_000 },
    );
    const visibleAfterMs = nowMs() - fromMs;
    const stats = await eventually(async () => {
      const ran = await runTroupe(['stats', '--output', 'json', '--address', gateway.address]);
      const { circuits } = JSON.parse(ran.stdout) as StatsJson;
      expect(circuits.map(({ id }) => id)).toContain(agentId);
      return circuits;
    });
    await delay(Math.max(0, fromMs + SETTLED_AFTER_MS + SETTLED_MS - nowMs()));
    const settled = history.between(fromMs + SETTLED_AFTER_MS, fromMs + SETTLED_AFTER_MS + SETTLED_MS);

    // The agent is healed, and used again once it is tried the next time.
    await setFailing(0);
    const healedAtMs = nowMs();
    const share = (operations: readonly Operation[]) =>
      percentOf(operations.filter((each) => isDone(each) && each.end.agentId === agentId).length, operations.length);
    await eventually(() => expect(share(history.between(nowMs() - 2_000, nowMs()))).toBeGreaterThan(15), {
      timeoutMs: BACK_BOUND_MS,
    });
    const backMs = nowMs() - healedAtMs;
    await arrivals.stop();

    const failedShare = (operations: readonly Operation[]) => percentOf(operations.filter(isFailed).length, operations.length);
    const { operations } = history;
    const firstEjectedAtMs = Math.min(...operations.filter(isFailed).map(({ endedAtMs }) => endedAtMs));
    const early = history.between(fromMs, fromMs + 1_000);
    await reportFigures('failing-agent', {
      tasks: operations.length,
      'failed in the first second (%, 10 without routing)': failedShare(early),
      'failed from the fifth second on (%, target 2)': failedShare(settled),
      'failed all in all': operations.filter(isFailed).length,
      'last failure after (s)':
        (Math.max(...operations.filter(isFailed).map(({ endedAtMs }) => endedAtMs)) - firstEjectedAtMs) / 1_000,
      'circuit visible after (ms)': visibleAfterMs,
      'fair share again after it was healed (ms)': backMs,
      states: states.join(' '),
    });
    expect(circuits.circuit).toMatchObject({ service: 'agent', lastFailure: expect.stringContaining('it fails now and then') });
    expect(circuits.reported).toMatchObject({ reporterService: 'node', reporterId: nodeId });
    expect(stats).toContainEqual(expect.objectContaining({ id: agentId, reporter: { service: 'node', id: nodeId } }));
    expect(states).toContainEqual(expect.stringMatching(/^(EJECTED|CIRCUIT_OPEN)$/));
    expect(states.at(-1)).toBe('HEALTHY');
    expect(failedShare(settled)).toBeLessThanOrEqual(2);
    expect(settled.filter(isDone).length).toBeGreaterThan((TASKS_PER_SECOND * SETTLED_MS) / 1_000 / 2);
    expect(history.between(healedAtMs, nowMs()).filter(isFailed).length).toBeLessThanOrEqual(1);
  }, 90_000);
});
