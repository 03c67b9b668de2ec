import { describe, expect, it } from '@jest/globals';
import { backoffMs } from '../../../src/resilience/backoff.js';
import { fixedRandom, seededRandom, testSeed } from '../../support/seeded-random.js';

const POLICY = { initialMs: 100, capMs: 2_000 };

describe('backoffMs', () => {
  it.each([
    [1, 100],
    [2, 200],
    [3, 400],
    [5, 1_600],
    [6, 2_000],
    [1_000, 2_000],
    [Number.MAX_SAFE_INTEGER, 2_000],
  ])('before try %d is at most %d ms', (attempt, ceiling) => {
    expect(backoffMs(attempt, POLICY, fixedRandom(1))).toBe(ceiling);
    expect(backoffMs(attempt, POLICY, fixedRandom(0.25))).toBe(ceiling / 4);
    expect(backoffMs(attempt, POLICY, fixedRandom(0))).toBe(0);
  });

  it(`is spread over the whole range (seed ${testSeed})`, () => {
    const random = seededRandom(testSeed);
    const waits = Array.from({ length: 10_000 }, () => backoffMs(4, POLICY, random));
    const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length;
    expect(Math.abs(mean - 400)).toBeLessThan(400 * 0.05);
  });
});
