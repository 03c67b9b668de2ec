import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import type { Instance } from '../../../src/core/instance.js';
import type { Attempt } from '../../../src/upstream/route.js';
import { DEFAULT_RETRY } from '../../../src/upstream/route-request.js';
import { REACHED, SUCCEEDED } from '../../../src/upstream/verdict.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { agentOf, nodeOf } from '../discovery/instances.js';
import { RouterRig } from './rig.js';

const clock = new FakeClock();
let rig = new RouterRig(clock, []);

function rigOf(...instances: Instance[]): RouterRig {
  rig.health.close();
  rig = new RouterRig(clock, instances);
  return rig;
}

const agents = (...ids: string[]) => ids.map((id) => agentOf(id, ['work'], { nodeId: `node-of-${id}` }));
const LOST = new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'Connection dropped');
const FULL = new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { metadata: { started: 'false' }, retryAfterMs: 100 });
const CALLED_OFF = new TroupeError('CANCELLED', 'CANCELLED', 'called off');

interface Open {
  readonly agent: string;
  readonly attempt: number;
  isCancelled: boolean;
  answer(text: string): void;
  fail(error: TroupeError): void;
}

/** Tries that end when the test says so. */
function openTries() {
  const tries: Open[] = [];
  const attempt: Attempt<string> = (target, number) => {
    let resolve: (text: string) => void = () => undefined;
    let reject: (error: TroupeError) => void = () => undefined;
    const response = new Promise<string>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    const open: Open = { agent: target.instance.id, attempt: number, isCancelled: false, answer: resolve, fail: reject };
    tries.push(open);
    return {
      response,
      cancel: () => {
        open.isCancelled = true;
        reject(CALLED_OFF);
      },
    };
  };
  return { tries, attempt };
}

const hedged = (hedgingDelayMs: number, maxAttempts = 3) =>
  rig.request({ idempotent: true, retry: { ...DEFAULT_RETRY, maxAttempts, hedgingDelayMs } });

afterEach(async () => {
  await settle();
  for (const target of rig.view.catalog.all()) expect([target.key, target.load.inFlight]).toEqual([target.key, 0]);
  rig.health.close();
  expect(clock.pending).toBe(0);
});

describe('a hedged task', () => {
  it('asks another agent after its delay; the first answer counts and the others are called off', async () => {
    rigOf(...agents('a', 'b', 'c'));
    const { tries, attempt } = openTries();
    const answer = rig.route(hedged(100), attempt);
    await clock.advance(99);
    expect(tries).toHaveLength(1);
    await clock.advance(1);
    expect(tries).toHaveLength(2);
    await clock.advance(100);
    expect(tries.map(({ attempt: number }) => number)).toEqual([1, 2, 3]);
    expect(new Set(tries.map(({ agent }) => agent)).size).toBe(3);
    tries[1]?.answer('second');
    expect(await answer).toBe('second');
    expect(tries.map(({ isCancelled }) => isCancelled)).toEqual([true, false, true]);
  });

  it('asks nobody else when the first answers in time', async () => {
    rigOf(...agents('a', 'b'));
    const { tries, attempt } = openTries();
    const answer = rig.route(hedged(100), attempt);
    tries[0]?.answer('first');
    expect(await answer).toBe('first');
    await clock.advance(1_000);
    expect(tries).toHaveLength(1);
  });

  it('asks another at once when one does not take it, and ends with the last when nobody is left', async () => {
    rigOf(...agents('a', 'b'));
    const { tries, attempt } = openTries();
    const answer = rig.route(hedged(10_000, 5), attempt);
    tries[0]?.fail(FULL);
    await settle();
    expect(tries).toHaveLength(2);
    tries[1]?.fail(FULL);
    await expect(answer).rejects.toBe(FULL);
  });

  it('does not end while another try is under way', async () => {
    rigOf(...agents('a', 'b'));
    const { tries, attempt } = openTries();
    const answer = rig.route(hedged(10, 2), attempt);
    await clock.advance(10);
    tries[1]?.fail(LOST);
    await settle();
    tries[0]?.answer('first');
    expect(await answer).toBe('first');
  });

  it('ends with an answer that is an error', async () => {
    rigOf(...agents('a', 'b'));
    const { tries, attempt } = openTries();
    const answer = rig.route(hedged(10), attempt);
    await clock.advance(10);
    const wrong = new TroupeError('INVALID_ARGUMENT', 'BAD_INPUT', 'no');
    tries[0]?.fail(wrong);
    await expect(answer).rejects.toBe(wrong);
    expect(tries[1]?.isCancelled).toBe(true);
  });

  it('is called off everywhere when its caller cancels', async () => {
    rigOf(...agents('a', 'b', 'c'));
    const { tries, attempt } = openTries();
    const route = rig.router.route(hedged(10), attempt);
    const answer = route.run();
    await clock.advance(10);
    route.cancel(CALLED_OFF);
    await expect(answer).rejects.toBe(CALLED_OFF);
    expect(tries.map(({ isCancelled }) => isCancelled)).toEqual([true, true]);
  });

  it('that is not idempotent is not hedged', async () => {
    rigOf(...agents('a', 'b'));
    const { tries, attempt } = openTries();
    const answer = rig.route({ ...hedged(10), idempotent: false }, attempt);
    await clock.advance(1_000);
    expect(tries).toHaveLength(1);
    tries[0]?.answer('done');
    await answer;
  });

  it('draws its further tries from the retry budget', async () => {
    rigOf(...agents('a', 'b', 'c'));
    const { retries } = rig.destinations.resolve(['work'], 'round_robin');
    while (retries.tryWithdraw());
    const { tries, attempt } = openTries();
    const answer = rig.route(hedged(10), attempt);
    await clock.advance(100);
    expect(tries).toHaveLength(1);
    tries[0]?.answer('alone');
    expect(await answer).toBe('alone');
  });
});

describe('a task that may have run', () => {
  const refusals: readonly [string, TroupeError][] = [
    ['full', FULL],
    ['not reached', new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'refused', { metadata: { started: 'false' } })],
    ['shut', new TroupeError('UNAVAILABLE', 'CIRCUIT_OPEN', 'open', { metadata: { started: 'false' }, retryAfterMs: 1 })],
  ];

  it.each(refusals)('ends with OUTCOME_UNKNOWN also when those asked after that are %s', async (_what, refusal) => {
    for (const retry of [DEFAULT_RETRY, { ...DEFAULT_RETRY, hedgingDelayMs: 60_000 }]) {
      rigOf(...agents('a', 'b'));
      const outcomes = [LOST];
      const attempt: Attempt<string> = () => ({ response: Promise.reject(outcomes.shift() ?? refusal), cancel: () => undefined });
      const answer = rig.route(rig.request({ idempotent: true, retry }), attempt);
      const ended = expect(answer).rejects.toMatchObject({ code: 'ABORTED', reason: 'OUTCOME_UNKNOWN', cause: LOST });
      for (let n = 0; n < 100; n++) await clock.advance(100);
      await ended;
    }
  });
});

describe('the retry budget', () => {
  it('ends a task with what its last try said, and says why there is no other', async () => {
    rigOf(...agents('a', 'b'));
    const { retries } = rig.destinations.resolve(['work'], 'round_robin');
    while (retries.tryWithdraw());
    const { tries, attempt } = openTries();
    const answer = rig.route(rig.request(), attempt);
    tries[0]?.fail(FULL);
    await expect(answer).rejects.toMatchObject({
      reason: 'MAILBOX_FULL',
      retryAfterMs: 100,
      metadata: { started: 'false', retries: 'budget_exhausted' },
    });
    expect(tries).toHaveLength(1);
  });

  it('keeps a storm of failures to a fifth more calls', async () => {
    rigOf(...agents('a', 'b', 'c', 'd'));
    let calls = 0;
    let turn = 0;
    const attempt: Attempt<string> = () => {
      calls += 1;
      turn += 1;
      return { response: turn % 2 === 0 ? Promise.resolve('done') : Promise.reject(FULL), cancel: () => undefined };
    };
    const tasks = 20_000;
    for (let n = 0; n < tasks; n++) {
      await rig.route(rig.request(), attempt).catch(() => undefined);
      if (n % 10 === 0) await clock.advance(10);
    }
    // The reserve of ten retries a second comes on top.
    expect(calls / tasks).toBeLessThanOrEqual(1.2 + (10 * (clock.monotonicMs() / 1_000 + 10)) / tasks);
    expect(calls / tasks).toBeGreaterThan(1.1);
  });
});

describe('circuits', () => {
  it('of a node that cannot be reached keep its agents from being asked', async () => {
    rigOf(nodeOf('node-of-a'), nodeOf('node-of-b'), ...agents('a', 'b'));
    const asked: string[] = [];
    const attempt: Attempt<string> = (target) => {
      asked.push(target.instance.id);
      return {
        response: target.instance.id === 'a' ? Promise.reject(LOST) : Promise.resolve('done'),
        cancel: () => undefined,
      };
    };
    for (let n = 0; n < 40; n++) await rig.route(rig.request({ idempotent: true }), attempt);
    expect(asked.filter((id) => id === 'a')).toHaveLength(5);
    expect(rig.transitions).toEqual(['node-of-a: healthy > circuit_open']);
  });

  it('that are all open refuse at once, and say when to come again', async () => {
    rigOf(nodeOf('node-of-a'), ...agents('a'));
    const attempt: Attempt<string> = () => ({
      response: Promise.reject(
        new TroupeError('UNAVAILABLE', 'CIRCUIT_OPEN', 'it fails', { metadata: { started: 'false' }, retryAfterMs: 4_000 }),
      ),
      cancel: () => undefined,
    });
    await expect(rig.route(rig.request(), attempt)).rejects.toMatchObject({ reason: 'CIRCUIT_OPEN', message: 'it fails' });
    await clock.advance(1_000);
    const refused = { code: 'UNAVAILABLE', reason: 'CIRCUIT_OPEN', retryAfterMs: 3_000, metadata: { started: 'false' } };
    await expect(rig.route(rig.request(), attempt)).rejects.toMatchObject(refused);
    await expect(rig.route(rig.request({ agentId: 'a' }), attempt)).rejects.toMatchObject(refused);
  });
});

describe('a node whose circuit is half-open', () => {
  it('is tried with one task; who comes meanwhile is told to come again soon', async () => {
    rigOf(nodeOf('node-of-a'), ...agents('a'));
    for (let n = 0; n < 5; n++) rig.health.end(rig.target('a'), { kind: 'unreachable', reason: 'x' });
    await clock.advance(500);
    const { tries, attempt } = openTries();
    const first = rig.route(rig.request(), attempt);
    await expect(rig.route(rig.request(), attempt)).rejects.toMatchObject({ reason: 'CIRCUIT_OPEN', retryAfterMs: 100 });
    tries[0]?.answer('done');
    expect(await first).toBe('done');
    expect([...rig.health.circuits()][0]?.[1].counts).toMatchObject({ successes: 1, failures: 5, rejected: 1 });
  });
});

describe('work that goes on after its try', () => {
  it('is a success of its agent, and does not count as a second call to its node', async () => {
    rigOf(nodeOf('node-of-a'), ...agents('a'));
    const attempt: Attempt<string> = () => ({ response: Promise.resolve('begun'), cancel: () => undefined });
    await rig.route(rig.request(), attempt, { verdict: REACHED });
    rig.router.hold(rig.target('a'))(SUCCEEDED);
    expect([...rig.health.circuits()][0]?.[1].counts).toMatchObject({ successes: 1, failures: 0 });
  });
});

describe('panic', () => {
  const probe = { failing: true, reason: 'no answer', sinceMs: 0, registryId: 'registry-1' };

  it('sends tasks to all where fewer than half are healthy, but not to those whose circuits are open', () => {
    rigOf(...['a', 'b', 'c', 'd'].map((id) => nodeOf(`node-of-${id}`)), ...agents('a', 'b', 'c', 'd'));
    const picked = () => {
      const { picker, panic } = rig.destinations.resolve(['work'], 'round_robin');
      const ids = new Set(Array.from({ length: 20 }, () => picker.pick({})?.instance.id));
      return { panic, ids: [...ids].sort() };
    };
    rig.put(nodeOf('node-of-a', { probe }), nodeOf('node-of-b', { probe }));
    expect(picked()).toEqual({ panic: false, ids: ['c', 'd'] });
    rig.put(nodeOf('node-of-c', { probe }));
    expect(picked()).toEqual({ panic: true, ids: ['a', 'b', 'c', 'd'] });
    for (let n = 0; n < 5; n++) rig.health.end(rig.target('a'), { kind: 'unreachable', reason: 'x' });
    expect(picked()).toEqual({ panic: true, ids: ['b', 'c', 'd'] });
    rig.put(nodeOf('node-of-b'), nodeOf('node-of-c'));
    expect(picked()).toEqual({ panic: false, ids: ['b', 'c', 'd'] });
  });
});

describe('load', () => {
  it('that an answer tells of is kept', async () => {
    rigOf(...agents('a'));
    const load = { inFlight: 3, queued: 4, limit: 5, eventLoopDelayMs: 0, cpu: 0 };
    const attempt: Attempt<string> = () => ({ response: Promise.resolve('done'), cancel: () => undefined });
    await rig.route(rig.request(), attempt, { load: () => load });
    expect(rig.target('a').load.isBusy(clock.monotonicMs())).toBe(true);
    expect(rig.target('a').load.work(clock.monotonicMs())).toBeGreaterThan(0);
  });
});
