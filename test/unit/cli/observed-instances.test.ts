import { describe, expect, test } from '@jest/globals';
import type { AgentRow } from '../../../src/cli/agent-rows.js';
import { observedInstances } from '../../../src/cli/observed-instances.js';

function row(id: string, changes: Partial<AgentRow> = {}): AgentRow {
  return {
    id,
    kind: 'data',
    nodeId: 'node-1',
    state: 'RUNNING',
    failure: '',
    capabilities: ['analysis', 'charts'],
    inFlight: 1,
    queued: 2,
    registeredAt: undefined,
    ...changes,
  };
}

const { inFlight: _inFlight, queued: _queued, ...unheard } = row('data-3', { nodeId: 'node-2', state: 'UNKNOWN' });
const sample = {
  agents: [
    row('data-1'),
    row('ai-1', { kind: 'ai', capabilities: ['analysis'], queued: 0 }),
    unheard,
    row('data-4', { state: 'STOPPING', inFlight: 7, queued: 0 }),
    row('data-5', { state: 'FAILED', inFlight: 0, queued: 0 }),
  ],
  nodeIds: ['node-1', 'node-2', 'node-3'],
  silent: new Set(['node-2']),
};

describe('the instances of a sample', () => {
  test('by kind are agents that take tasks, with what they have in flight and queued', () => {
    expect(observedInstances(sample, 'kind')).toEqual([
      { groups: ['data'], connections: 3 },
      { groups: ['ai'], connections: 1 },
      { groups: ['data'] },
    ]);
  });

  test('by capability count in each that they have', () => {
    expect(observedInstances(sample, 'capability')).toEqual([
      { groups: ['analysis', 'charts'], connections: 3 },
      { groups: ['analysis'], connections: 1 },
      { groups: ['analysis', 'charts'] },
    ]);
  });

  test('by service are all agents, and all nodes with whatever their agents work on', () => {
    expect(observedInstances(sample, 'service')).toEqual([
      { groups: ['agent'], connections: 3 },
      { groups: ['agent'], connections: 1 },
      { groups: ['agent'] },
      { groups: ['node'], connections: 3 + 1 + 7 },
      { groups: ['node'] },
      { groups: ['node'], connections: 0 },
    ]);
  });
});
