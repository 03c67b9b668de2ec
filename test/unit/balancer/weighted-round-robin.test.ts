import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { strategies } from '../../../src/balancer/strategies.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { candidate, candidates, deps, tally } from './candidates.js';

describe(`weighted round robin (seed ${testSeed})`, () => {
  it('gives everybody within two of his share at any time, evenly spaced', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(weights, fc.integer(), (given, seed) => {
        const all = candidates(given);
        const total = given.reduce((sum, weight) => sum + weight, 0);
        const picker = strategies.weighted_round_robin(all, deps({ random: seededRandom(seed) }));
        const counts = new Map(all.map(({ key }) => [key, 0]));
        for (let picks = 1; picks <= 200; picks++) {
          const key = picker.pick({})?.key ?? '';
          counts.set(key, (counts.get(key) ?? 0) + 1);
          for (const one of all)
            expect(Math.abs((counts.get(one.key) ?? 0) - (picks * one.weight) / total)).toBeLessThanOrEqual(2);
        }
      }),
      { seed: testSeed | 0, numRuns: 50 },
    );
  });

  it('does not give a heavy one all its turns at once', () => {
    const picker = strategies.weighted_round_robin(candidates([5, 1, 1]), deps());
    const keys = Array.from({ length: 70 }, () => picker.pick({})?.key);
    for (let i = 0; i + 7 <= keys.length; i++) expect(keys.slice(i, i + 7)).toEqual(expect.arrayContaining(['c0', 'c1', 'c2']));
    expect(keys.join(' ')).not.toContain('c0 c0 c0 c0 c0');
  });

  it('goes on with the same schedule when somebody comes', () => {
    const shared = deps();
    const all = candidates([4, 3, 2, 1]);
    const counts = new Map<string, number>();
    for (let round = 0; round < 100; round++) {
      // A new picker for each pick: one that began anew each time would give the same candidate over and over.
      const key = strategies.weighted_round_robin(all, shared).pick({})?.key ?? '';
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const { key, weight } of all) expect(Math.abs((counts.get(key) ?? 0) - weight * 10)).toBeLessThanOrEqual(2);
  });

  it('gives one whose weight changes its new share', () => {
    const shared = deps();
    const fixed = candidate('a', { weight: 10 });
    strategies.weighted_round_robin([fixed, candidate('b', { weight: 10 })], shared).pick({});
    const picker = strategies.weighted_round_robin([fixed, candidate('b', { weight: 30 })], shared);
    expect(Math.abs((tally(() => picker.pick({}), 400).get('b') ?? 0) - 300)).toBeLessThanOrEqual(2);
  });

  it('does not make up for turns that were passed over while one was excluded', () => {
    const picker = strategies.weighted_round_robin(candidates([1000, 1, 1]), deps());
    const excluded = new Set(['c0']);
    for (let i = 0; i < 100; i++) expect(picker.pick({ excluded })?.key).not.toBe('c0');
    expect(Math.abs((tally(() => picker.pick({}), 1_002).get('c0') ?? 0) - 1_000)).toBeLessThanOrEqual(3);
  });

  it('begins anywhere, so that many routers do not all begin with the same', () => {
    const firsts = new Set<string | undefined>();
    for (let seed = 0; seed < 200; seed++)
      firsts.add(strategies.weighted_round_robin(candidates([3, 2, 1, 1]), deps({ random: seededRandom(seed) })).pick({})?.key);
    expect(firsts.size).toBe(4);
  });
});
