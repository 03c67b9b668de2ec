import { describe, expect, it } from '@jest/globals';
import type { Instance } from '../../../src/core/instance.js';
import { ClusterView, STALE_AFTER_MS } from '../../../src/discovery/view.js';
import { FakeClock } from '../../support/fake-clock.js';
import { agentOf, nodeOf } from './instances.js';

function viewOf(...instances: Instance[]) {
  const clock = new FakeClock();
  const view = new ClusterView(clock);
  view.reset(instances, 1n);
  const load = (id: string) => view.catalog.get({ service: 'agent', id })?.load;
  return { clock, view, load };
}

describe('ClusterView', () => {
  it('keeps what this process has under way at an instance as long as it lives', () => {
    const { view, load } = viewOf(agentOf('a', ['x']), agentOf('b', ['x']));
    const before = load('a');
    for (let calls = 0; calls < 3; calls++) before?.begin();
    view.apply([{ kind: 'put', instance: agentOf('a', ['x', 'y'], { revision: 2n, weight: 5 }) }], 2n);
    expect(load('a')).toBe(before);
    view.reset([agentOf('a', ['x'], { revision: 3n })], 3n);
    expect(load('a')).toBe(before);
    view.apply([{ kind: 'put', instance: agentOf('a', ['x'], { revision: 4n, incarnation: 4n }) }], 4n);
    expect(load('a')?.inFlight).toBe(0);
    expect(before?.inFlight).toBe(3);
  });

  it('forgets on a reset what is not there any more', () => {
    const { view } = viewOf(agentOf('a', ['x']), agentOf('b', ['x']), nodeOf('n'));
    const removed: string[] = [];
    view.onChange((update) => removed.push(...update.removed.map(({ id }) => id)));
    view.reset([agentOf('b', ['x']), agentOf('c', ['y'])], 9n);
    expect([...view.catalog.all()].map(({ key }) => key).sort()).toEqual(['agent/b', 'agent/c']);
    expect(view.catalog.withCapability('x')).toHaveLength(1);
    expect(removed.sort()).toEqual(['a', 'n']);
    expect(view.revision).toBe(9n);
  });

  it('tells listeners after every change what went, until they are called off', () => {
    const { view } = viewOf(agentOf('a', ['x']));
    const calls: string[][] = [];
    const stop = view.onChange(({ removed: gone }) => {
      calls.push(gone.map(({ id }) => `${id} at ${view.revision}`));
    });
    view.apply([{ kind: 'put', instance: agentOf('b', []) }], 2n);
    view.apply(
      [
        { kind: 'removed', key: { service: 'agent', id: 'a' } },
        { kind: 'removed', key: { service: 'agent', id: 'none' } },
      ],
      3n,
    );
    stop();
    view.apply([{ kind: 'removed', key: { service: 'agent', id: 'b' } }], 4n);
    expect(calls).toEqual([[], ['a at 3']]);
  });

  it('is stale when it was not in step for too long, by the clock that does not step', async () => {
    const clock = new FakeClock();
    const view = new ClusterView(clock);
    expect(view.status()).toMatchObject({ ageMs: Number.POSITIVE_INFINITY, stale: true, instances: 0 });
    view.reset([agentOf('a', [])], 1n);
    view.inStep(0);
    expect(view.status()).toMatchObject({ ageMs: 0, stale: false, instances: 1, revision: 1n });
    clock.step(3_600_000);
    await clock.advance(STALE_AFTER_MS);
    expect(view.status()).toMatchObject({ ageMs: STALE_AFTER_MS, stale: false });
    await clock.advance(1);
    expect(view.status().stale).toBe(true);
    view.inStep(1_000);
    expect(view.status()).toMatchObject({ ageMs: 1_000, stale: false });
    view.inStep(5_000);
    expect(view.status().ageMs).toBe(1_000);
  });

  it('waits until something holds, or for so long', async () => {
    const { clock, view, load } = viewOf();
    expect(await view.until(() => true, 0)).toBe(true);
    const comes = view.until(() => load('a') !== undefined, 1_000);
    const never = view.until(() => load('b') !== undefined, 1_000);
    view.apply([{ kind: 'put', instance: agentOf('a', []) }], 2n);
    expect(await comes).toBe(true);
    await clock.advance(1_000);
    expect(await never).toBe(false);
    expect(clock.pending).toBe(0);
    expect((Reflect.get(view, 'listeners') as Set<unknown>).size).toBe(0);
  });
});
