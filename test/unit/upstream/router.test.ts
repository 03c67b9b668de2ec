import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import type { Instance } from '../../../src/core/instance.js';
import type { Target } from '../../../src/discovery/view.js';
import type { Attempt } from '../../../src/upstream/route.js';
import type { RouteRequest } from '../../../src/upstream/route-request.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { agentOf } from '../discovery/instances.js';
import { RouterRig } from './rig.js';

const clock = new FakeClock();
let rig = new RouterRig(clock, []);

function routerTo(...instances: Instance[]): RouterRig {
  rig.health.close();
  rig = new RouterRig(clock, instances);
  return rig;
}

const agents = (...ids: string[]) => ids.map((id) => agentOf(id, ['work']));
const request = (more: Partial<RouteRequest> = {}): RouteRequest => rig.request(more);

const NOT_CONNECTED = new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'refused', { metadata: { started: 'false' } });
const FULL = new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { metadata: { started: 'false' }, retryAfterMs: 100 });
const LOST = new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'Connection dropped');

/** Tries that cannot be called off. */
function trying<T>(work: (target: Target, attempt: number) => Promise<T>): Attempt<T> {
  return (target, attempt) => ({ response: work(target, attempt), cancel: () => undefined });
}

/** Tries that fail as `outcomes` says, in turn, then succeed; and who was tried. */
function attempts(...outcomes: (unknown | undefined)[]) {
  const tried: string[] = [];
  const numbers: number[] = [];
  const attempt = trying(async (target, number) => {
    expect(target.load.inFlight).toBeGreaterThan(0);
    const outcome = outcomes[tried.length];
    tried.push(target.instance.id);
    numbers.push(number);
    await settle();
    if (outcome !== undefined) throw outcome;
    return `by ${target.instance.id}`;
  });
  return { tried, numbers, attempt };
}

/** Lets the pauses between tries pass until `call` is settled. */
async function pass<T>(call: Promise<T>): Promise<T> {
  let settled = false;
  void call.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  for (let i = 0; i < 1_000 && !settled; i++) await clock.advance(50);
  return call;
}

afterEach(() => {
  for (const target of rig.view.catalog.all()) expect([target.key, target.load.inFlight]).toEqual([target.key, 0]);
  rig.health.close();
  expect(clock.pending).toBe(0);
});

describe('a task', () => {
  it('goes to an agent that has all its capabilities', async () => {
    const router = routerTo(agentOf('a', ['x']), agentOf('b', ['x', 'y']), agentOf('c', ['y', 'z']));
    const { tried, attempt } = attempts();
    for (const capabilities of [
      ['x', 'y'],
      ['y', 'x'],
    ])
      expect(await router.route(request({ capabilities }), attempt)).toBe('by b');
    expect(tried).toEqual(['b', 'b']);
  });

  it('that nobody can do is refused with NOT_FOUND', async () => {
    const router = routerTo(agentOf('a', ['x']), agentOf('b', ['y']));
    for (const capabilities of [['work'], ['x', 'y']]) {
      await expect(router.route(request({ capabilities }), attempts().attempt)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'NO_AGENT',
        metadata: { required_capabilities: capabilities.join(',') },
      });
    }
  });

  it('that nobody is UP for is refused with UNAVAILABLE, not started', async () => {
    const router = routerTo(agentOf('a', ['work'], { status: 'stopping' }), agentOf('b', ['work'], { status: 'starting' }));
    await expect(router.route(request(), attempts().attempt)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NO_HEALTHY_AGENT',
      metadata: { started: 'false' },
      retryAfterMs: expect.any(Number),
    });
  });

  it('goes to one that is DEGRADED only where nobody is UP', async () => {
    const degraded = agentOf('b', ['work'], { status: 'degraded', revision: 2n });
    const router = routerTo(agentOf('a', ['work']), degraded);
    const { tried, attempt } = attempts();
    for (let i = 0; i < 4; i++) await router.route(request(), attempt);
    rig.put(agentOf('a', ['work'], { status: 'stopping' }));
    await router.route(request(), attempt);
    expect(tried).toEqual(['a', 'a', 'a', 'a', 'b']);
  });

  it('follows the view: an agent that comes is used, one that goes is not', async () => {
    const router = routerTo(...agents('a'));
    const { tried, attempt } = attempts();
    await router.route(request(), attempt);
    rig.put(agentOf('b', ['work']));
    await router.route(request(), attempt);
    await router.route(request(), attempt);
    rig.remove('agent', 'a');
    await router.route(request(), attempt);
    expect(new Set(tried.slice(1, 3))).toEqual(new Set(['a', 'b']));
    expect(tried[3]).toBe('b');
  });
});

describe('a try that certainly did not start', () => {
  it('is followed by one elsewhere, at once, and numbered', async () => {
    const { tried, numbers, attempt } = attempts(NOT_CONNECTED, FULL);
    const before = clock.monotonicMs();
    expect(await routerTo(...agents('a', 'b', 'c')).route(request(), attempt)).toBe(`by ${tried[2]}`);
    expect(new Set(tried).size).toBe(3);
    expect(numbers).toEqual([1, 2, 3]);
    expect(clock.monotonicMs()).toBe(before);
  });

  it('everywhere, because all are full, ends at once with what they say', async () => {
    const { tried, attempt } = attempts(FULL, FULL, FULL, FULL);
    await expect(routerTo(...agents('a', 'b')).route(request(), attempt)).rejects.toBe(FULL);
    expect(tried).toHaveLength(2);
  });

  it('everywhere, because nobody can be reached, is repeated after a pause', async () => {
    const { tried, numbers, attempt } = attempts(NOT_CONNECTED, NOT_CONNECTED);
    expect(await pass(routerTo(...agents('a')).route(request(), attempt))).toBe('by a');
    expect(tried).toEqual(['a', 'a', 'a']);
    expect(numbers).toEqual([1, 2, 3]);
  });

  it('ends with what the last one said after five in all', async () => {
    const { tried, attempt } = attempts(...Array(20).fill(NOT_CONNECTED));
    await expect(pass(routerTo(...agents('a', 'b')).route(request(), attempt))).rejects.toBe(NOT_CONNECTED);
    expect(tried).toHaveLength(5);
    const many = attempts(...Array(20).fill(FULL));
    await expect(routerTo(...agents('a', 'b', 'c', 'd', 'e', 'f', 'g')).route(request(), many.attempt)).rejects.toBe(FULL);
    expect(many.tried).toHaveLength(5);
  });

  it('is not repeated when the deadline leaves no time for it', async () => {
    const { tried, attempt } = attempts(NOT_CONNECTED, NOT_CONNECTED);
    const call = pass(routerTo(...agents('a')).route(request({ deadlineMs: clock.now() + 0.001 }), attempt));
    await expect(call).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/) });
    expect(tried).toEqual(['a']);
  });

  it('is not followed by another after the deadline', async () => {
    const router = routerTo(...agents('a', 'b'));
    const late = trying<string>(async () => {
      await clock.advance(1_000);
      throw NOT_CONNECTED;
    });
    await expect(router.route(request({ deadlineMs: clock.now() + 1_000 }), late)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });

  it('is not repeated when the caller cancels during the pause', async () => {
    const { tried, attempt } = attempts(NOT_CONNECTED);
    const route = routerTo(...agents('a')).router.route(request(), attempt);
    const call = route.run();
    for (let i = 0; i < 5; i++) await settle();
    const reason = new TroupeError('CANCELLED', 'CANCELLED', 'gone');
    route.cancel(reason);
    await expect(call).rejects.toBe(reason);
    expect(tried).toEqual(['a']);
  });

  it('ends when all agents are gone meanwhile, with what the last one said', async () => {
    const router = routerTo(...agents('a'));
    const attempt = trying<string>(async () => {
      rig.remove('agent', 'a');
      throw NOT_CONNECTED;
    });
    await expect(pass(router.route(request(), attempt))).rejects.toBe(NOT_CONNECTED);
  });
});

describe('a try whose outcome is unknown', () => {
  it('ends with ABORTED / OUTCOME_UNKNOWN', async () => {
    const { tried, attempt } = attempts(LOST);
    await expect(routerTo(...agents('a', 'b')).route(request(), attempt)).rejects.toMatchObject({
      code: 'ABORTED',
      reason: 'OUTCOME_UNKNOWN',
      metadata: { agent_id: expect.any(String), node_id: 'node-1' },
      cause: LOST,
    });
    expect(tried).toHaveLength(1);
  });

  it('is followed by one elsewhere when the task is idempotent', async () => {
    const { tried, numbers, attempt } = attempts(LOST);
    await routerTo(...agents('a', 'b')).route(request({ idempotent: true }), attempt);
    expect(new Set(tried)).toEqual(new Set(['a', 'b']));
    expect(numbers).toEqual([1, 2]);
  });

  it('five times ends with OUTCOME_UNKNOWN also when the task is idempotent', async () => {
    const { tried, attempt } = attempts(...Array(20).fill(LOST));
    const call = pass(routerTo(...agents('a', 'b', 'c', 'd', 'e', 'f')).route(request({ idempotent: true }), attempt));
    await expect(call).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    expect(tried).toHaveLength(5);
  });
});

describe('deadlines that pass, five in a row', () => {
  const late = trying<string>(async () => {
    await clock.advance(1_000);
    throw new TroupeError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'late');
  });
  const fiveTimes = async (router: RouterRig, before: () => void) => {
    for (let n = 0; n < 5; n++) {
      before();
      await router.route(request({ agentId: 'a', capabilities: [] }), late).catch(() => undefined);
    }
    return router.transitions;
  };

  it('eject an agent of which nothing else is known', async () => {
    expect(await fiveTimes(routerTo(...agents('a', 'b')), () => undefined)).toEqual(['a: healthy > ejected']);
  });

  it('do not eject one that has told of a queue: the tasks may have waited', async () => {
    const router = routerTo(...agents('a', 'b'));
    const report = { inFlight: 4, queued: 20, limit: 4, eventLoopDelayMs: 0, cpu: 0 };
    expect(await fiveTimes(router, () => router.target('a').load.report(report, clock.monotonicMs()))).toEqual([]);
  });
});

describe('an answer', () => {
  it.each([
    new TroupeError('UNKNOWN', 'AGENT_ERROR', 'no'),
    new TroupeError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'late'),
    new TroupeError('UNAVAILABLE', 'MODEL_AWAY', 'no'),
  ])('that is the error $reason is passed on', async (error) => {
    const { tried, attempt } = attempts(error);
    await expect(routerTo(...agents('a', 'b')).route(request({ idempotent: true }), attempt)).rejects.toBe(error);
    expect(tried).toHaveLength(1);
  });

  it('that is no TroupeError is passed on, also when it is thrown at once', async () => {
    const error = new TypeError('a bug');
    await expect(routerTo(...agents('a')).route(request(), attempts(error).attempt)).rejects.toBe(error);
    const thrower: Attempt<string> = () => {
      throw error;
    };
    await expect(routerTo(...agents('a')).route(request(), thrower)).rejects.toBe(error);
  });
});

describe('a task for one agent', () => {
  const mine = (more: Partial<RouteRequest> = {}) => request({ agentId: 'b', capabilities: [], ...more });

  it('goes there, whoever else could do it', async () => {
    const { tried, attempt } = attempts();
    const router = routerTo(...agents('a', 'b', 'c'));
    for (let i = 0; i < 3; i++) await router.route(mine({ capabilities: ['work'] }), attempt);
    expect(tried).toEqual(['b', 'b', 'b']);
  });

  it('that is unknown is refused with NOT_FOUND', async () => {
    await expect(routerTo(...agents('a')).route(mine(), attempts().attempt)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_AGENT',
      metadata: { agent_id: 'b' },
    });
  });

  it('that cannot do it is refused with FAILED_PRECONDITION', async () => {
    const call = routerTo(...agents('b')).route(mine({ capabilities: ['work', 'fly'] }), attempts().attempt);
    await expect(call).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'MISSING_CAPABILITY',
      message: expect.stringContaining('"fly"'),
    });
  });

  it('is tried there again when it could not be reached, and ends at once when it is full', async () => {
    const { tried, attempt } = attempts(NOT_CONNECTED);
    const router = routerTo(...agents('a', 'b'));
    expect(await pass(router.route(mine(), attempt))).toBe('by b');
    expect(tried).toEqual(['b', 'b']);
    await expect(router.route(mine(), attempts(FULL).attempt)).rejects.toBe(FULL);
  });
});

describe('Destinations', () => {
  it('keep a picker while nobody that has the capabilities changes, in whatever order they are asked for', () => {
    routerTo(agentOf('a', ['x', 'y']), agentOf('b', ['x']), agentOf('c', ['z']));
    const { destinations } = rig;
    const first = destinations.resolve(['x', 'y'], 'round_robin').picker;
    expect(destinations.resolve(['y', 'x'], 'round_robin').picker).toBe(first);
    rig.put(agentOf('c', ['z'], { status: 'stopping' }));
    expect(destinations.resolve(['x', 'y'], 'round_robin').picker).toBe(first);
    rig.put(agentOf('b', ['x', 'y']));
    const second = destinations.resolve(['x', 'y'], 'round_robin');
    expect(second.picker).not.toBe(first);
    expect(second.members).toHaveLength(2);
    expect(destinations.resolve(['x', 'y'], 'random').picker).not.toBe(second.picker);
  });

  it('take turns evenly although the members change all the time', () => {
    routerTo(...agents('a', 'b', 'c', 'd'));
    const { destinations } = rig;
    const counts = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      rig.put(agentOf('z', ['work'], { status: i % 2 === 0 ? 'starting' : 'stopping' }));
      const id = destinations.resolve(['work'], 'round_robin').picker.pick({})?.instance.id ?? 'none';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([100, 100, 100, 100]);
  });

  it('have one retry budget for the tasks of all strategies, and another for other capabilities', () => {
    routerTo(agentOf('a', ['x', 'y']), agentOf('b', ['x']));
    const { destinations } = rig;
    const { retries } = destinations.resolve(['x'], 'round_robin');
    expect(destinations.resolve(['x'], 'random').retries).toBe(retries);
    expect(destinations.resolve(['y'], 'random').retries).not.toBe(retries);
    rig.put(agentOf('b', ['x', 'y']));
    expect(destinations.resolve(['x'], 'round_robin').retries).toBe(retries);
  });

  it('know an agent by its id', () => {
    routerTo(...agents('a'));
    const found: Target | undefined = rig.destinations.agent('a');
    expect(found?.instance.id).toBe('a');
    expect(rig.destinations.agent('b')).toBeUndefined();
  });
});
