import { describe, expect, it } from '@jest/globals';
import { connect } from '../../../src/client/client.js';
import { type RunOptions, type RunStreamOptions, routedTask } from '../../../src/client/run-options.js';

describe('the options of a task', () => {
  it.each<[RunOptions, string]>([
    [{ priority: 'urgent' as never }, 'priority'],
    [{ priority: 'toString' as never }, 'priority'],
    [{ retry: { maxAttempts: 1.5 } }, 'retry.maxAttempts'],
    [{ retry: { initialBackoffMs: Number.NaN } }, 'retry.initialBackoffMs'],
    [{ retry: { maxBackoffMs: Number.POSITIVE_INFINITY } }, 'retry.maxBackoffMs'],
    [{ retry: { hedgingDelayMs: -1 } }, 'retry.hedgingDelayMs'],
  ])('%j are refused, naming %s', (options, field) => {
    expect(() => routedTask('greeting', 'Ada', options)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
    );
  });

  it.each<[RunStreamOptions, string]>([
    [{ timeoutMs: Number.NaN }, 'timeoutMs'],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, 'timeoutMs'],
    [{ resumeWindowMs: -1 }, 'resumeWindowMs'],
    [{ resumeWindowMs: Number.NaN }, 'resumeWindowMs'],
  ])('%j are refused before anything is sent, naming %s', async (options, field) => {
    // Nobody is there.
    const troupe = connect('127.0.0.1:1');
    await expect(troupe.runStream('greeting', 'Ada', options).next()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field }],
    });
    troupe.close();
  });
});
