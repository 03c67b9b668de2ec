import { describe, expect, it } from '@jest/globals';
import {
  abortError,
  deadlineExceeded,
  invalidArgument,
  invalidFields,
  isTroupeError,
  messageOf,
  TroupeError,
} from '../../../src/core/errors.js';

describe('TroupeError', () => {
  it('has no metadata, violations or retry hint unless they are given', () => {
    const error = new TroupeError('NOT_FOUND', 'INSTANCE_NOT_FOUND', 'no such instance');
    expect(error).toMatchObject({
      name: 'TroupeError',
      code: 'NOT_FOUND',
      reason: 'INSTANCE_NOT_FOUND',
      message: 'no such instance',
      metadata: {},
      violations: [],
      retryAfterMs: undefined,
    });
    expect('cause' in error).toBe(false);
  });

  it('keeps the details it is given', () => {
    const cause = new Error('socket closed');
    const error = new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'the store is away', {
      metadata: { store: 'etcd' },
      retryAfterMs: 250,
      cause,
    });
    expect(error).toMatchObject({ metadata: { store: 'etcd' }, retryAfterMs: 250, cause });
  });
});

describe('isTroupeError', () => {
  const error = new TroupeError('ABORTED', 'CONFLICT', 'changed meanwhile');
  it.each([
    ['an error of ours', error, undefined, true],
    ['an error of ours with the reason asked for', error, 'CONFLICT', true],
    ['an error of ours with another reason', error, 'CANCELLED', false],
    ['another error', new Error('CONFLICT'), undefined, false],
    ['nothing', undefined, undefined, false],
  ])('says of %s whether it is one', (_name, value, reason, expected) => {
    expect(isTroupeError(value, reason)).toBe(expected);
  });
});

describe('invalidArgument', () => {
  it('names the field and says what to do', () => {
    expect(invalidArgument('task.id', 'is required')).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELD',
      message: 'task.id: is required',
      violations: [{ field: 'task.id', description: 'is required' }],
    });
  });

  it('names every wrong field of several', () => {
    const violations = [
      { field: 'a', description: 'is required' },
      { field: 'b', description: 'must be positive' },
    ];
    expect(invalidFields(violations)).toMatchObject({ message: 'a: is required; b: must be positive', violations });
  });
});

describe('messageOf', () => {
  it.each([
    ['an error', new Error('it broke'), 'it broke'],
    ['a string', 'it broke', 'it broke'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 42, '42'],
    ['what has none', Object.create(null), 'something that has no text was thrown'],
  ])('gives the text of %s', (_name, thrown, text) => {
    expect(messageOf(thrown)).toBe(text);
  });
});

describe('abortError', () => {
  it('gives a reason of ours as it is', () => {
    const reason = deadlineExceeded('too late');
    expect(abortError(AbortSignal.abort(reason))).toBe(reason);
  });

  it('takes a timeout for a deadline', () => {
    const timeout = Object.assign(new Error('timed out'), { name: 'TimeoutError' });
    expect(abortError(AbortSignal.abort(timeout))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it.each([
    ['no reason', undefined],
    ['a string', 'shutting down'],
    ['an error', new Error('shutting down')],
  ])('calls it cancelled for %s, and keeps the cause', (_name, reason) => {
    const signal = AbortSignal.abort(reason);
    const error = abortError(signal);
    expect(error).toMatchObject({ code: 'CANCELLED', reason: 'CANCELLED' });
    expect(error.cause).toBe(signal.reason);
  });
});

describe('a TroupeError', () => {
  it.each([
    [250, 250],
    [-5, 0],
    [Number.POSITIVE_INFINITY, 3_600_000],
    [Number.NaN, undefined],
    [undefined, undefined],
  ])('keeps the pause of %s to what can travel', (given, kept) => {
    expect(new TroupeError('UNAVAILABLE', 'BUSY', 'busy', { retryAfterMs: given }).retryAfterMs).toBe(kept);
  });
});
