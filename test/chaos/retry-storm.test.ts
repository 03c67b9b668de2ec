import { describe, expect, it } from '@jest/globals';
import { Arrivals } from '../support/arrivals.js';
import { startChaosCluster } from '../support/chaos-cluster.js';
import { percentile, percentOf, reportFigures } from '../support/figures.js';
import { failuresOf, History, isDone, isFailed, isOpen, latencyMs } from '../support/history.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const TASK_MS = 20;
const TASKS_PER_SECOND = 300;
const STORM_MS = 12_000;
/** Of a router's retry budget: the share of tasks, the reserve of each second, and for how long both count. */
const RATIO = 0.2;
const RESERVE_PER_SECOND = 10;
const WINDOW_MS = 10_000;

describe(`agents that refuse half of all tries (seed ${testSeed})`, () => {
  it('get hardly more tries than there are tasks', async () => {
    const { troupe, deploy, nodes } = await startChaosCluster(3);
    await deploy({ id: 'work', kind: 'worker', concurrency: 1, mailboxCapacity: 1, config: { ms: TASK_MS } });
    const history = new History(testSeed);
    const arrivals = new Arrivals(TASKS_PER_SECOND, seededRandom(testSeed), () =>
      history.record((id) => troupe.run('work', null, { id })),
    );
    await arrivals.runFor(STORM_MS);

    const { operations } = history;
    const agents = (await Promise.all(nodes.map(({ id }) => troupe.agentsOf(id)))).flat();
    const count = (field: 'completed' | 'failed' | 'refused') => agents.reduce((sum, each) => sum + Number(each[field]), 0);
    const tries = count('completed') + count('failed') + count('refused');
    const reserve = (RESERVE_PER_SECOND * (STORM_MS + WINDOW_MS)) / 1_000;
    await reportFigures('retry-storm', {
      tasks: operations.length,
      'tries at the agents': tries,
      'tries refused (%)': percentOf(count('refused'), tries),
      'tries for each task': tries / operations.length,
      'allowed (1.2 and the reserve of 10 a second)': 1 + RATIO + reserve / operations.length,
      'without the reserve (target 1.2)': (tries - reserve) / operations.length,
      'tasks done (%)': percentOf(operations.filter(isDone).length, operations.length),
      'refusal p99 (ms)': percentile(operations.filter(isFailed).map(latencyMs), 99),
      'tasks open': operations.filter(isOpen).length,
    });
    expect(Object.keys(failuresOf(operations))).toEqual(['RESOURCE_EXHAUSTED/MAILBOX_FULL']);
    expect(percentOf(count('refused'), tries)).toBeGreaterThan(40);
    expect(operations.filter(isDone).length).toBeGreaterThan((STORM_MS / TASK_MS) * 3 * 0.5);
    expect(tries).toBeLessThanOrEqual(operations.length * (1 + RATIO) + reserve);
    expect(count('completed')).toBe(operations.filter(isDone).length);
  }, 60_000);
});
