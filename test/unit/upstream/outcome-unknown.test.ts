import { describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { Unanswered } from '../../../src/runtime/refusals.js';
import { outcomeUnknown } from '../../../src/upstream/outcome-unknown.js';
import { agentOf, nodeOf } from '../discovery/instances.js';

describe('outcomeUnknown', () => {
  it.each([
    [new Unanswered('a'), 'agent "a" on node "node-1" ended while it had the task'],
    [new TroupeError('UNAVAILABLE', 'NODE_LOST', 'it left'), 'node "node-1" was lost while agent "a" had the task'],
    [
      new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'dropped'),
      'the connection to node "node-1" broke while agent "a" had the task',
    ],
  ])('says what broke: %s', (cause, text) => {
    const error = outcomeUnknown(agentOf('a', []), cause, 'it may have run');
    expect(error).toMatchObject({ code: 'ABORTED', reason: 'OUTCOME_UNKNOWN', message: `${text}: it may have run`, cause });
    expect(error.metadata).toEqual({ agent_id: 'a', node_id: 'node-1' });
  });

  it('speaks of an agent where only its node is known', () => {
    const error = outcomeUnknown(nodeOf('node-1'), new TroupeError('UNAVAILABLE', 'NODE_LOST', 'it left'), 'it may have run');
    expect(error.message).toBe('node "node-1" was lost while an agent had the task: it may have run');
    expect(error.metadata).toEqual({ node_id: 'node-1' });
  });
});
