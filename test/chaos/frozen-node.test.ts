import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Arrivals } from '../support/arrivals.js';
import { startChaosCluster } from '../support/chaos-cluster.js';
import { eventually } from '../support/eventually.js';
import { percentile, reportFigures } from '../support/figures.js';
import {
  check,
  failuresOf,
  History,
  isDone,
  isOpen,
  latencyMs,
  nowMs,
  type Operation,
  readExecutions,
} from '../support/history.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const TASKS_PER_SECOND = 100;
/** The target is 4 s; a health check more on a machine that others use too. */
const SET_ASIDE_BOUND_MS = 5_000;
/** Longer than a lease of 10 s lives. */
const FROZEN_MS = 13_000;
/** A task of 5 ms without an answer for so long was with the node that is frozen. */
const STUCK_MS = 1_500;
const BACK_BOUND_MS = 8_000;

describe(`one of three nodes freezes under load (seed ${testSeed})`, () => {
  it('gets no new tasks soon after; no idempotent task is lost and no other done twice; gets tasks again when it goes on', async () => {
    const { nodes, troupe, log, deploy } = await startChaosCluster(3);
    await deploy({ id: 'work', kind: 'worker', config: { ms: 5, log } });
    const random = seededRandom(testSeed);
    const history = new History(testSeed);
    const arrivals = new Arrivals(TASKS_PER_SECOND, random, () => {
      const idempotent = random.next() < 0.5;
      return history.record((id) => troupe.run('work', null, { id, idempotent }), { idempotent });
    });
    await eventually(() => expect(history.operations.length).toBeGreaterThan(200), { timeoutMs: 10_000 });

    const victim = nodes[Math.floor(random.next() * nodes.length)] ?? nodes[0];
    const frozenAtMs = nowMs();
    await victim.process.kill('SIGSTOP');
    await delay(FROZEN_MS);
    const thawedAtMs = nowMs();
    await victim.process.kill('SIGCONT');
    const isBack = (each: Operation) => isDone(each) && each.end.nodeId === victim.id && each.startedAtMs > thawedAtMs;
    await eventually(() => expect(history.operations.some(isBack)).toBe(true), { timeoutMs: BACK_BOUND_MS });
    await eventually(() => expect(history.operations.filter(isBack).length).toBeGreaterThan(20), { timeoutMs: BACK_BOUND_MS });
    await arrivals.stop();

    const { operations } = history;
    const findings = check(history, await readExecutions(log));
    const stuck = history.between(frozenAtMs, thawedAtMs).filter((each) => latencyMs(each) > STUCK_MS);
    const setAsideMs = Math.max(...stuck.map(({ startedAtMs }) => startedAtMs - frozenAtMs));
    const stuckIdempotent = stuck.filter(({ idempotent }) => idempotent);
    const backMs = Math.min(...operations.filter(isBack).map(({ startedAtMs }) => startedAtMs - thawedAtMs));
    const others = history.between(frozenAtMs + SET_ASIDE_BOUND_MS, thawedAtMs);
    await reportFigures('frozen-node', {
      tasks: operations.length,
      'last task sent to it after (ms, target 4000)': setAsideMs,
      'tasks sent to it while frozen': stuck.length,
      'idempotent of these': stuckIdempotent.length,
      'their longest answer (ms)': Math.max(0, ...stuckIdempotent.map(latencyMs)),
      'idempotent tasks lost': findings.lost.length,
      'others ended with an unknown outcome':
        operations.length - operations.filter(isDone).length - operations.filter(isOpen).length,
      'tasks open': operations.filter(isOpen).length,
      'done twice': findings.duplicates.length,
      'p99 once it was set aside (ms)': percentile(others.map(latencyMs), 99),
      'tasks again after it went on (ms)': backMs,
    });
    // Duplicates are allowed: an idempotent task that was with the frozen node is done elsewhere, and there as well once it goes on.
    const { lost, invented, repeated, unflagged } = findings;
    expect({ lost, invented, repeated, unflagged }).toEqual({ lost: [], invented: [], repeated: [], unflagged: [] });
    expect(Object.keys(failuresOf(operations)).filter((name) => name !== 'ABORTED/OUTCOME_UNKNOWN')).toEqual([]);
    expect(stuck.length).toBeGreaterThan(10);
    expect(setAsideMs).toBeLessThan(SET_ASIDE_BOUND_MS);
    expect(stuckIdempotent.filter((each) => !isDone(each))).toEqual([]);
    expect(others.length).toBeGreaterThan(300);
    expect(others.filter((each) => !isDone(each))).toEqual([]);
  }, 60_000);
});
