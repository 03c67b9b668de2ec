import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HealthState } from '../../../src/gen/troupe/v1/health.js';
import type { WatchHealthResponse } from '../../../src/gen/troupe/v1/node.js';
import type { HealthTransition } from '../../../src/upstream/health-table.js';
import { watchHealth } from '../../../src/upstream/watch-health.js';
import { FakeClock } from '../../support/fake-clock.js';
import { agentOf, nodeOf } from '../discovery/instances.js';
import { RouterRig } from './rig.js';

const MAX_BACKLOG = 1_000;

let clock: FakeClock;
let rig: RouterRig;
let leave: AbortController;
/** How many listen to the table, besides the rig. */
let listeners: number;

beforeEach(() => {
  clock = new FakeClock();
  rig = new RouterRig(clock, [nodeOf('node-1'), agentOf('a0', ['work'], { status: 'stopping' }), agentOf('a1', ['work'])]);
  leave = new AbortController();
  listeners = 0;
  const onTransition = rig.health.onTransition.bind(rig.health);
  rig.health.onTransition = (listener: (transition: HealthTransition) => void) => {
    listeners += 1;
    const stop = onTransition(listener);
    return () => {
      listeners -= 1;
      stop();
    };
  };
});

afterEach(() => {
  rig.health.close();
  expect(clock.pending).toBe(0);
});

const STATES: Partial<Record<HealthState, string>> = {
  [HealthState.HEALTH_STATE_UNSPECIFIED]: 'new',
  [HealthState.HEALTH_STATE_HEALTHY]: 'healthy',
  [HealthState.HEALTH_STATE_DEGRADED]: 'degraded',
  [HealthState.HEALTH_STATE_DRAINING]: 'draining',
  [HealthState.HEALTH_STATE_GONE]: 'gone',
};

function text({ event }: WatchHealthResponse): string {
  const name = (state: HealthState | undefined) => STATES[state ?? HealthState.UNRECOGNIZED];
  switch (event?.$case) {
    case 'current':
      return `${event.value.id}: ${name(event.value.state)}`;
    case 'transition':
      return `${event.value.instance?.id}: ${name(event.value.from)} > ${name(event.value.instance?.state)}`;
    default:
      return 'nothing';
  }
}

const watch = () => watchHealth(rig.health, leave.signal);

async function take(stream: AsyncIterator<WatchHealthResponse, void, undefined>, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) {
    const { value, done } = await stream.next();
    if (done === true || value === undefined) break;
    got.push(text(value));
  }
  return got;
}

/** One transition each. */
function change(times: number): void {
  for (let n = 0; n < times; n++) {
    const { status } = rig.target('a1').instance;
    rig.put(agentOf('a1', ['work'], { status: status === 'up' ? 'degraded' : 'up' }));
  }
}

describe('who watches the health of the cluster', () => {
  it('is told first of all that are not healthy, then of every transition in order', async () => {
    rig.put(agentOf('a2', ['work'], { status: 'degraded' }));
    const stream = watch();
    expect(await take(stream, 1)).toEqual(['a0: draining']);
    // While it reads what was: told of afterwards, and what was is as it was.
    rig.put(agentOf('a2', ['work'], { status: 'up' }));
    rig.put(agentOf('a3', ['work']));
    expect(await take(stream, 3)).toEqual(['a2: degraded', 'a2: degraded > healthy', 'a3: new > healthy']);
    const next = take(stream, 2);
    rig.remove('agent', 'a0');
    rig.put(agentOf('a1', ['work'], { status: 'stopping' }));
    expect(await next).toEqual(['a0: draining > gone', 'a1: healthy > draining']);
    await stream.return();
  });

  it('is told of each with its reason and since when', async () => {
    const stream = watch();
    await take(stream, 1);
    await clock.advance(5_000);
    rig.put(agentOf('a1', ['work'], { status: 'degraded' }));
    const { value } = await stream.next();
    expect(value?.event).toMatchObject({
      $case: 'transition',
      value: { instance: { service: 'agent', id: 'a1', nodeId: 'node-1', since: new Date(clock.now()), until: undefined } },
    });
    await stream.return();
  });

  it('is cut off when it is more than 1,000 transitions behind, after those that it was owed', async () => {
    const stream = watch();
    await take(stream, 1);
    change(MAX_BACKLOG);
    expect(await take(stream, 1)).toHaveLength(1);
    change(1);
    expect(await take(stream, MAX_BACKLOG - 1)).toHaveLength(MAX_BACKLOG - 1);
    change(MAX_BACKLOG);
    expect(await take(stream, MAX_BACKLOG)).toHaveLength(MAX_BACKLOG);
    await expect(stream.next()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'SLOW_READER' });
    expect(listeners).toBe(0);
  });

  it.each<[string, (stream: ReturnType<typeof watch>) => Promise<unknown>]>([
    ['ends the stream', (stream) => stream.return()],
    [
      'goes away while it waits',
      async (stream) => {
        const next = stream.next();
        leave.abort();
        expect(await next).toEqual({ done: true, value: undefined });
      },
    ],
  ])('is forgotten when it %s', async (_what, goAway) => {
    const stream = watch();
    await take(stream, 1);
    expect(listeners).toBe(1);
    await goAway(stream);
    expect(listeners).toBe(0);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('is told what is and then ends where it had gone before it began', async () => {
    leave.abort();
    expect(await take(watch(), 10)).toEqual(['a0: draining']);
    expect(listeners).toBe(0);
  });
});
