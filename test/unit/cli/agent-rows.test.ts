import { describe, expect, test } from '@jest/globals';
import { agentRows } from '../../../src/cli/agent-rows.js';
import { AgentState } from '../../../src/gen/troupe/v1/agent.js';
import { agent, agentStatus } from './messages.js';

describe('agentRows', () => {
  test('joins what the registry knows with what the nodes tell, by id', () => {
    const rows = agentRows(
      [agent('b', 'node-1'), agent('a', 'node-2')],
      [agentStatus('a', 'node-2'), agentStatus('b', 'node-1')],
    );
    expect(rows.map(({ id, nodeId, state, completed }) => [id, nodeId, state, completed])).toEqual([
      ['a', 'node-2', 'RUNNING', 30],
      ['b', 'node-1', 'RUNNING', 30],
    ]);
  });

  test('leaves open what only a node that does not answer knows', () => {
    const [row] = agentRows([agent('a', 'node-1')], []);
    expect(row).toMatchObject({ id: 'a', kind: 'data', state: 'UNKNOWN', capabilities: ['data_processing'] });
    expect(row).not.toHaveProperty('inFlight');
  });

  test('shows failed agents, which are not registered', () => {
    const failed = agentStatus('a', 'node-1', { state: AgentState.AGENT_STATE_FAILED, failure: 'no model' });
    expect(agentRows([], [failed])).toMatchObject([
      { id: 'a', state: 'FAILED', failure: 'no model', registeredAt: failed.stateSince },
    ]);
  });

  test('shows both of an agent that lives on one node and failed on another', () => {
    const failed = agentStatus('a', 'node-1', { state: AgentState.AGENT_STATE_FAILED });
    const rows = agentRows([agent('a', 'node-2')], [failed, agentStatus('a', 'node-2')]);
    expect(rows.map(({ nodeId, state }) => [nodeId, state]).sort()).toEqual([
      ['node-1', 'FAILED'],
      ['node-2', 'RUNNING'],
    ]);
  });
});
