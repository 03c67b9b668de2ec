import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isTroupeError } from '../../../src/core/errors.js';
import { ID_PATTERN, ID_RULE, idViolation, isId, newId, parseId, type TaskId } from '../../../src/core/ids.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

describe('isId', () => {
  it.each(['a', '0', 'agent-1', 'a.b_c-d', 'a'.repeat(63), '0-', 'x..y'])('accepts %j', (value) => {
    expect(isId(value)).toBe(true);
  });

  it.each(['', '-a', '.a', '_a', 'A', 'aB', 'a b', 'a/b', 'a\n', 'ä', 'a'.repeat(64), 'a\0'])('refuses %j', (value) => {
    expect(isId(value)).toBe(false);
  });
});

describe('idViolation', () => {
  it('finds nothing wrong with an id', () => {
    expect(idViolation('id', 'agent-1')).toBeUndefined();
  });

  it('says that an empty id is required', () => {
    expect(idViolation('task.id', '')).toEqual({ field: 'task.id', description: `is required; ${ID_RULE}` });
  });

  it('gives the rule for a wrong one', () => {
    expect(idViolation('task.id', 'No')).toEqual({ field: 'task.id', description: ID_RULE });
  });
});

describe('parseId', () => {
  it('gives an id back', () => {
    expect(parseId('id', 'agent-1')).toBe('agent-1');
  });

  it('throws INVALID_ARGUMENT exactly where isId says no', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        let refused = false;
        try {
          parseId('id', value);
        } catch (error) {
          refused = isTroupeError(error, 'INVALID_FIELD') && error.violations[0]?.field === 'id';
        }
        return refused !== isId(value);
      }),
    );
  });
});

describe('newId', () => {
  it(`makes ids that are valid and differ (seed ${testSeed})`, () => {
    const random = seededRandom(testSeed);
    const ids = Array.from({ length: 1_000 }, () => newId<TaskId>('task', random));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^task-[a-z0-9]{12}$/);
    expect(ids.every((id) => ID_PATTERN.test(id))).toBe(true);
  });
});
