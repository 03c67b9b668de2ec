import { describe, expect, it } from '@jest/globals';
import { ClusterView } from '../../../src/discovery/view.js';
import { holderOf } from '../../../src/gateway/placement.js';
import { FakeClock } from '../../support/fake-clock.js';
import { agentOf, nodeOf } from '../discovery/instances.js';

const failing = { failing: true, reason: 'no answer', sinceMs: 0, registryId: 'registry-1' };

describe('holderOf', () => {
  it.each([
    ['is UP', nodeOf('node-1'), 'node-1'],
    ['starts', nodeOf('node-1', { status: 'starting' }), 'node-1'],
    ['drains', nodeOf('node-1', { status: 'stopping' }), undefined],
    ['was found failing', nodeOf('node-1', { probe: failing }), undefined],
    ['is another', nodeOf('node-2'), undefined],
  ])('gives the node of an agent, where it is well: one that %s', (_, node, id) => {
    const view = new ClusterView(new FakeClock());
    view.reset([agentOf('a', []), node], 1n);
    expect(holderOf(view.catalog, 'a')?.id).toBe(id);
    expect(holderOf(view.catalog, 'b')).toBe(undefined);
  });
});
