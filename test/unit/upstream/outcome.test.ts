import { describe, expect, it } from '@jest/globals';
import { type ErrorCode, TroupeError } from '../../../src/core/errors.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';

const transport = (code: ErrorCode, message = 'x') => new TroupeError(code, code, message);

describe('outcomeOf', () => {
  it.each([
    ['a refusal by the node', new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'x', { metadata: { started: 'false' } })],
    ['a node that drains', new TroupeError('UNAVAILABLE', 'NODE_DRAINING', 'x', { metadata: { started: 'false' } })],
    ['an agent that stopped before', new TroupeError('UNAVAILABLE', 'AGENT_STOPPED', 'x', { metadata: { started: 'false' } })],
    ['an agent that is not there', new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', 'x', { metadata: { started: 'false' } })],
    ['no connection', transport('UNAVAILABLE', 'No connection established. Last error: connect ECONNREFUSED')],
    ['a stream that was refused', transport('UNAVAILABLE', 'Stream refused by server')],
    ['a channel that was closed', transport('UNAVAILABLE', 'Channel closed before call started')],
  ])('of %s: it has not started', (_what, error) => {
    expect(outcomeOf(error)).toBe('not_started');
  });

  it.each([
    ['a connection that dropped', transport('UNAVAILABLE', 'Connection dropped')],
    ['a reset stream', transport('INTERNAL', 'Received RST_STREAM with code 2')],
    ['an unknown end', transport('UNKNOWN')],
    ['a call that was cancelled', transport('CANCELLED')],
    ['a node that was lost', new TroupeError('UNAVAILABLE', 'NODE_LOST', 'x')],
    ['an agent that stopped amid it', new TroupeError('UNAVAILABLE', 'AGENT_STOPPED', 'x')],
  ])('of %s: nobody knows', (_what, error) => {
    expect(outcomeOf(error)).toBe('unknown');
  });

  it.each([
    ['an error of the agent', new TroupeError('UNKNOWN', 'AGENT_ERROR', 'x')],
    ['an error that the agent chose', new TroupeError('UNAVAILABLE', 'MODEL_AWAY', 'x')],
    ['the deadline', transport('DEADLINE_EXCEEDED')],
    ['a wrong field', new TroupeError('INVALID_ARGUMENT', 'INVALID_FIELD', 'x')],
    ['a message that is too large', transport('RESOURCE_EXHAUSTED')],
    ['no such method', transport('UNIMPLEMENTED')],
  ])('of %s: that is the answer', (_what, error) => {
    expect(outcomeOf(error)).toBe('answered');
  });
});
