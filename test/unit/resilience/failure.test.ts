import { describe, expect, it } from '@jest/globals';
import { type ErrorCode, TroupeError } from '../../../src/core/errors.js';
import { blameOf, FAIR_CHANCE_MS, isFailure } from '../../../src/resilience/failure.js';

const error = (code: ErrorCode) => new TroupeError(code, code, 'no');

describe('what an error says of whoever gave it', () => {
  it.each<ErrorCode>(['UNKNOWN', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'])('%s is a failure', (code) => {
    expect([isFailure(error(code)), blameOf(error(code), 0)]).toEqual([true, 'failed']);
  });

  it.each<ErrorCode>([
    'INVALID_ARGUMENT',
    'NOT_FOUND',
    'ALREADY_EXISTS',
    'PERMISSION_DENIED',
    'UNAUTHENTICATED',
    'FAILED_PRECONDITION',
    'OUT_OF_RANGE',
    'ABORTED',
    'UNIMPLEMENTED',
  ])('%s is an answer', (code) => {
    expect([isFailure(error(code)), blameOf(error(code), 60_000)]).toEqual([false, 'succeeded']);
  });

  it.each<ErrorCode>(['RESOURCE_EXHAUSTED', 'CANCELLED'])('%s says nothing', (code) => {
    expect([isFailure(error(code)), blameOf(error(code), 60_000)]).toEqual([false, 'nothing']);
  });

  it('a deadline is a failure of who had a fair chance, and says nothing otherwise', () => {
    const late = error('DEADLINE_EXCEEDED');
    expect(blameOf(late, FAIR_CHANCE_MS - 1)).toBe('nothing');
    expect(blameOf(late, FAIR_CHANCE_MS)).toBe('failed');
    expect(isFailure(late)).toBe(false);
  });
});
