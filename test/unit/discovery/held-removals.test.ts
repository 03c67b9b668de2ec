import { beforeEach, describe, expect, it } from '@jest/globals';
import type { InstanceId } from '../../../src/core/ids.js';
import type { Instance } from '../../../src/core/instance.js';
import { HeldRemovals } from '../../../src/discovery/held-removals.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { FakeClock } from '../../support/fake-clock.js';

const node = (id: string, incarnation = 1n): Instance => ({
  id: id as InstanceId,
  service: 'node',
  endpoint: { host: '127.0.0.1', port: 1 },
  status: 'up',
  weight: 1,
  zone: 'default',
  capabilities: [],
  metadata: new Map(),
  nodeId: '',
  registeredAtMs: 0,
  incarnation,
  revision: incarnation,
});
const put = (instance: Instance) => ({ kind: 'put', instance }) as const;
const removed = (id: string) => ({ kind: 'removed', key: { service: 'node', id } }) as const;

let clock: FakeClock;
let view: ClusterView;
let recovering: boolean;
let removals: HeldRemovals;
const there = () => [...view.catalog.all()].map(({ instance }) => `${instance.id}@${instance.incarnation}`).sort();

beforeEach(() => {
  clock = new FakeClock();
  view = new ClusterView(clock);
  recovering = false;
  removals = new HeldRemovals(view, clock, () => recovering);
  removals.reset([node('a'), node('b')], 1n);
});

describe('HeldRemovals', () => {
  it('removes at once as a rule', () => {
    removals.apply([removed('a')], 2n);
    expect(there()).toEqual(['b@1']);
    expect(clock.pending).toBe(0);
  });

  it('keeps those who register again while the control plane recovers, and drops the others afterwards', async () => {
    recovering = true;
    removals.apply([removed('a'), removed('b')], 2n);
    expect(there()).toEqual(['a@1', 'b@1']);
    expect(view.revision).toBe(2n);
    removals.apply([put(node('a', 3n))], 3n);
    await clock.advance(10_000);
    expect(there()).toEqual(['a@3', 'b@1']);
    recovering = false;
    await clock.advance(500);
    expect(there()).toEqual(['a@3']);
    expect(view.revision).toBe(3n);
    expect(clock.pending).toBe(0);
  });

  it('keeps those who are missing from a snapshot of that time', async () => {
    recovering = true;
    removals.reset([node('b', 2n), node('c', 2n)], 2n);
    expect(there()).toEqual(['a@1', 'b@2', 'c@2']);
    recovering = false;
    await clock.advance(500);
    expect(there()).toEqual(['b@2', 'c@2']);
  });

  it('drops who was held and is removed once more', () => {
    recovering = true;
    removals.apply([removed('a'), put(node('a', 2n))], 2n);
    recovering = false;
    removals.apply([removed('a')], 3n);
    expect(there()).toEqual(['b@1']);
  });

  it('leaves no timer behind', () => {
    recovering = true;
    removals.apply([removed('a')], 2n);
    removals.close();
    expect(clock.pending).toBe(0);
  });
});
