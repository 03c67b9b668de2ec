import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { ownAgents } from '../../../src/app/own-agents.js';

const agents = ['greeter', 'counter'].map((kind) => defineAgent({ kind, capabilities: ['a'], run: () => null }));

describe("a node's own agents", () => {
  it('are one of each kind, named after kind and node', () => {
    expect(ownAgents('node-1', ['counter', 'greeter'], agents)).toEqual([
      { id: 'counter-node-1', kind: 'counter' },
      { id: 'greeter-node-1', kind: 'greeter' },
    ]);
    expect(ownAgents('node-1', [], agents)).toEqual([]);
  });

  it.each([
    [
      'a kind that it does not offer',
      'node-1',
      agents,
      '"juggler" is no kind that this node offers; by --agents it offers greeter',
    ],
    ['a node that offers none', 'node-1', [], '"juggler" is no kind that this node offers; by --agents it offers no kind'],
    [
      'an id that would be too long',
      'n'.repeat(60),
      [defineAgent({ ...agents[0], kind: 'juggler' } as never)],
      'give a shorter --id',
    ],
  ])('cannot be: %s', (_, id, definitions, message) => {
    expect(() => ownAgents(id, ['juggler'], definitions)).toThrow(message);
  });
});
