import { describe, expect, it } from '@jest/globals';
import { effectiveDeadline } from '../../../src/core/deadline.js';

describe('effectiveDeadline', () => {
  it.each([
    ['30 s from now when none is given', [undefined, Number.POSITIVE_INFINITY], 1_030_000],
    ['the earlier of two', [1_500_000, 1_200_000], 1_200_000],
    ['the one that is given, also beyond 30 s', [undefined, 1_600_000], 1_600_000],
    ['at most an hour from now', [99_000_000], 4_600_000],
    ['one that has passed', [900_000], 900_000],
  ])('is %s', (_, given, expected) => {
    expect(effectiveDeadline(1_000_000, ...given)).toBe(expected);
  });
});
