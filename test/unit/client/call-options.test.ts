import { describe, expect, it } from '@jest/globals';
import { late } from '../../../src/client/call-options.js';
import { deadlineExceeded, TroupeError } from '../../../src/core/errors.js';

describe('a deadline that passes', () => {
  it.each(['Deadline exceeded', 'Deadline exceeded after 0.5s', 'the deadline passed', 'the deadline passed without an answer'])(
    'says who did not answer, where "%s" is all that is known',
    (message) => {
      const error = deadlineExceeded(message);
      expect(late(error, 'agent "a" did not answer', { timeoutMs: 500 })).toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        reason: 'DEADLINE_EXCEEDED',
        message: 'agent "a" did not answer within 500 ms',
        cause: error,
      });
    },
  );

  it('says how long that is where nobody said', () => {
    expect(late(deadlineExceeded(), 'it did not answer', {})).toMatchObject({ message: 'it did not answer within 30000 ms' });
  });

  it.each([
    deadlineExceeded('the mailbox of "a" had no room for the message before its deadline'),
    new TroupeError('DEADLINE_EXCEEDED', 'AGENT_ERROR', 'the deadline passed'),
    new TroupeError('CANCELLED', 'CANCELLED', 'the deadline passed'),
    new Error('the deadline passed'),
  ])('leaves what says more, or something else: %s', (error) => {
    expect(late(error, 'it did not answer', {})).toBe(error);
  });
});
