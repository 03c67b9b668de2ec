import { describe, expect, it } from '@jest/globals';
import { startChaosCluster } from '../support/chaos-cluster.js';
import { eventually } from '../support/eventually.js';
import { percentile, reportFigures } from '../support/figures.js';
import { check, failuresOf, History, isDone, isOpen, latencyMs, nowMs, readExecutions } from '../support/history.js';
import { Load } from '../support/load.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const CALLERS = 16;
/** The target is 1 s; twice that on a machine that others use too. */
const REROUTED_BOUND_MS = 2_000;

describe(`one of three nodes is killed under load (seed ${testSeed})`, () => {
  it('no idempotent task is lost, and what is done twice was under way and says so', async () => {
    const { nodes, troupe, log, deploy } = await startChaosCluster(3);
    await deploy({ id: 'work', kind: 'worker', config: { ms: 5, log } });
    const random = seededRandom(testSeed);
    const history = new History(testSeed);
    const load = new Load(CALLERS, () =>
      history.record((id) => troupe.run('work', null, { id, idempotent: true, timeoutMs: 10_000 }), { idempotent: true }),
    );
    const warmUp = 400 + Math.floor(random.next() * 400);
    await eventually(() => expect(load.succeeded).toBeGreaterThan(warmUp), { timeoutMs: 10_000 });

    const victim = nodes[Math.floor(random.next() * nodes.length)] ?? nodes[0];
    const killed = victim.process.kill('SIGKILL');
    const killedAtMs = nowMs();
    await killed;
    const afterKill = load.succeeded;
    await eventually(() => expect(load.succeeded).toBeGreaterThan(afterKill + 2_000), { timeoutMs: 15_000 });
    await load.stop();

    const { operations } = history;
    const findings = check(history, await readExecutions(log));
    const underWay = history.underWayAt(killedAtMs);
    const rerouted = operations.filter(isDone).filter(({ end }) => end.attempt > 1);
    const reroutedMs = rerouted.map(({ startedAtMs, endedAtMs }) => endedAtMs - Math.max(startedAtMs, killedAtMs));
    const usual = operations.filter(({ endedAtMs }) => endedAtMs < killedAtMs).map(latencyMs);
    await reportFigures('killed-node', {
      tasks: operations.length,
      'tasks lost': findings.lost.length,
      'tasks open': operations.filter(isOpen).length,
      'under way at the kill': underWay.length,
      'done twice': findings.duplicates.length,
      rerouted: rerouted.length,
      'rerouted p50 (ms)': percentile(reroutedMs, 50),
      'rerouted p99 (ms, target 1000)': percentile(reroutedMs, 99),
      'rerouted max (ms)': Math.max(0, ...reroutedMs),
      'p99 before the kill (ms)': percentile(usual, 99),
    });
    expect({ ...findings, duplicates: [], failures: failuresOf(operations) }).toEqual({
      lost: [],
      invented: [],
      duplicates: [],
      repeated: [],
      unflagged: [],
      failures: {},
    });
    const idsUnderWay = underWay.map(({ id }) => id);
    expect(findings.duplicates.filter((id) => !idsUnderWay.includes(id))).toEqual([]);
    expect(operations.filter(isOpen)).toEqual([]);
    expect(operations.filter(isDone).length).toBeGreaterThan(warmUp + 2_000);
    expect(rerouted.length).toBeGreaterThan(0);
    expect(percentile(reroutedMs, 99)).toBeLessThan(REROUTED_BOUND_MS);
  }, 60_000);
});
