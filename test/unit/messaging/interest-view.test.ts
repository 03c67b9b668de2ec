import { describe, expect, it } from '@jest/globals';
import type { Instance } from '../../../src/core/instance.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { InterestView } from '../../../src/messaging/interest-view.js';
import { HealthTable } from '../../../src/upstream/health-table.js';
import { FakeClock } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { agentOf, instanceOf, nodeOf } from '../discovery/instances.js';

function interestOf(id: string, nodeId: string, pattern: string, more: Partial<Instance> = {}): Instance {
  return instanceOf('interest', id, { nodeId, metadata: new Map([['pattern', pattern]]), ...more });
}

function viewOf(...instances: readonly Instance[]) {
  const view = new ClusterView(new FakeClock());
  view.reset(instances, 1n);
  let revision = 1n;
  const apply = (put: readonly Instance[], removed: readonly string[] = []) => {
    revision += 1n;
    view.apply(
      [
        ...put.map((instance) => ({ kind: 'put', instance }) as const),
        ...removed.map((id) => ({ kind: 'removed', key: { service: 'interest', id } }) as const),
      ],
      revision,
    );
  };
  return { view, apply, interest: new InterestView(view) };
}

describe('InterestView', () => {
  it('knows what was there before, what comes and what goes', () => {
    const { interest, apply } = viewOf(interestOf('i1', 'node-1', 'a.*'), nodeOf('node-1'), interestOf('i2', 'gateway', '>'));
    expect([...interest.nodesFor('a.b')].sort()).toEqual(['gateway', 'node-1']);
    apply([interestOf('i3', 'node-2', 'a.b'), interestOf('i4', 'node-1', 'a.b')], ['i2']);
    expect(interest.nodesFor('a.b')).toEqual(['node-1', 'node-2']);
    expect(interest.nodesFor('b')).toEqual([]);
  });

  it('gives the same array until something changes that may concern the topic', () => {
    const { interest, apply } = viewOf(interestOf('i1', 'node-1', 'a.*'));
    const before = interest.nodesFor('a.b');
    apply([
      nodeOf('node-2'),
      agentOf('a', ['x']),
      interestOf('i2', 'node-2', 'c'),
      interestOf('i1', 'node-1', 'a.*', { revision: 2n }),
    ]);
    expect(interest.nodesFor('a.b')).toBe(before);
    apply([interestOf('i3', 'node-2', 'a.b')]);
    expect(interest.nodesFor('a.b')).toEqual(['node-1', 'node-2']);
    expect(before).toEqual(['node-1']);
  });

  it('counts a node until the last of its registrations of a pattern has gone', () => {
    const { interest, apply } = viewOf(interestOf('i1', 'node-1', 'a'), interestOf('i2', 'node-1', 'a'));
    expect(interest.nodesFor('a')).toEqual(['node-1']);
    apply([], ['i1']);
    expect(interest.nodesFor('a')).toEqual(['node-1']);
    apply([], ['i2', 'i2']);
    expect(interest.nodesFor('a')).toEqual([]);
  });

  it('follows one that changes, also several times at once', () => {
    const { interest, apply, view } = viewOf(interestOf('i1', 'node-1', 'a'));
    apply([interestOf('i1', 'node-1', 'b'), interestOf('i1', 'node-2', 'c')]);
    expect(interest.topics()).toEqual([['c', ['node-2']]]);
    apply([interestOf('new', 'node-3', 'c')], ['new', 'i1']);
    expect(interest.topics()).toEqual([]);
    view.reset([interestOf('i1', 'node-1', 'd')], 9n);
    expect(interest.topics()).toEqual([['d', ['node-1']]]);
  });

  it('lists patterns and nodes in order', () => {
    const { interest } = viewOf(
      interestOf('i1', 'node-2', 'b'),
      interestOf('i2', 'node-1', 'b'),
      interestOf('i3', 'node-1', 'B'),
      interestOf('i4', 'node-1', '>'),
      interestOf('i5', 'node-1', 'a.*'),
    );
    expect(interest.topics()).toEqual([
      ['>', ['node-1']],
      ['B', ['node-1']],
      ['a.*', ['node-1']],
      ['b', ['node-1', 'node-2']],
    ]);
  });

  it('leaves aside what does not say what it wants, or for whom', () => {
    const { interest, apply } = viewOf(
      interestOf('i1', 'node-1', 'a..b'),
      interestOf('i2', '', 'a'),
      instanceOf('interest', 'i3', { nodeId: 'node-1' }),
      instanceOf('mine', 'i4', { nodeId: 'node-1', metadata: new Map([['pattern', 'a']]) }),
    );
    expect(interest.topics()).toEqual([]);
    apply([interestOf('i1', 'node-1', 'a')]);
    apply([interestOf('i1', 'node-1', '')]);
    expect(interest.topics()).toEqual([]);
  });

  it('listens no more when it is closed', () => {
    const { interest, apply } = viewOf();
    interest.close();
    apply([interestOf('i1', 'node-1', 'a')]);
    expect(interest.topics()).toEqual([]);
  });
});

describe('instances of interest', () => {
  it('are neither agents nor nodes for those who route', () => {
    const wish = interestOf('i1', 'node-1', 'a', { status: 'down', capabilities: ['x'], probe: undefined });
    const { view, apply } = viewOf(nodeOf('node-1'), agentOf('a', ['x']), wish);
    const health = new HealthTable({ view, clock: new FakeClock(), logger: recordingLogger() });
    const { revision } = health;
    apply([interestOf('i2', 'node-1', 'b')], ['i1']);
    expect(health.revision).toBe(revision);
    expect(view.catalog.withCapability('x').map(({ instance }) => instance.id)).toEqual(['a']);
    expect(view.catalog.agentsOn('node-1')).toBe(1);
    health.close();
  });
});
