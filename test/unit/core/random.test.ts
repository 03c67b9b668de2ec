import { describe, expect, it } from '@jest/globals';
import { randomInt, randomName, systemRandom } from '../../../src/core/random.js';
import { fixedRandom, seededRandom, testSeed } from '../../support/seeded-random.js';

const ALMOST_ONE = 1 - 2 ** -53;

describe('randomInt', () => {
  it.each([
    [0, 6, 0],
    [0.5, 6, 3],
    [ALMOST_ONE, 6, 5],
    [ALMOST_ONE, 1, 0],
  ])('turns %d of [0, 1) below %d into %d', (chance, bound, expected) => {
    expect(randomInt(fixedRandom(chance), bound)).toBe(expected);
  });
});

describe('randomName', () => {
  it(`has the length asked for and uses the whole alphabet (seed ${testSeed})`, () => {
    const name = randomName(seededRandom(testSeed), 2_000);
    expect(name).toMatch(/^[a-z0-9]{2000}$/);
    expect(new Set(name).size).toBe(36);
  });

  it('is empty at length 0', () => {
    expect(randomName(systemRandom, 0)).toBe('');
  });
});

describe('systemRandom', () => {
  it('stays in [0, 1)', () => {
    const numbers = Array.from({ length: 1_000 }, () => systemRandom.next());
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  });
});
