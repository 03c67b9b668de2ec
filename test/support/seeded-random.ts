import type { Random } from '../../src/core/random.js';

/** The seed of this run's random tests: TROUPE_TEST_SEED, or another one each time. Put it in the name of the test. */
export const testSeed: number = Number(process.env.TROUPE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** Chance that repeats itself: mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}

/** Chance that gives these numbers, again and again. */
export function fixedRandom(...numbers: readonly [number, ...number[]]): Random {
  let index = 0;
  return { next: () => numbers[index++ % numbers.length] ?? numbers[0] };
}
