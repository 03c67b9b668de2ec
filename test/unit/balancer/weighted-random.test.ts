import { describe, expect, it } from '@jest/globals';
import { AliasTable } from '../../../src/balancer/alias-table.js';
import { strategies } from '../../../src/balancer/strategies.js';
import { fixedRandom, seededRandom, testSeed } from '../../support/seeded-random.js';
import { candidates, deps, tally } from './candidates.js';

describe(`the alias table (seed ${testSeed})`, () => {
  it.each([[[1]], [[1, 1]], [[1, 1000]], [[1, 2, 3, 4]], [Array.from({ length: 500 }, (_, i) => 1 + ((i * 37) % 1000))]])(
    'gives each index the part of all chances that its weight is',
    (weights: number[]) => {
      const table = new AliasTable(Uint16Array.from(weights));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      // Every part of every column once: exact up to the width of a step.
      const steps = 1_000 * weights.length;
      const counts = weights.map(() => 0);
      for (let step = 0; step < steps; step++) {
        const index = table.draw(fixedRandom((step + 0.5) / steps));
        counts[index] = (counts[index] ?? 0) + 1;
      }
      weights.forEach((weight, index) => {
        expect(Math.abs((counts[index] ?? 0) - (weight / total) * steps)).toBeLessThanOrEqual(weights.length);
      });
    },
  );
});

describe(`weighted random (seed ${testSeed})`, () => {
  it.each([4, 16, 17, 64])('leaves the shares of the others of %d as they are when heavy ones are excluded', (count) => {
    const all = candidates(Array.from({ length: count }, (_, i) => (i < 2 ? 1_000 : 1 + (i % 2))));
    const picker = strategies.weighted_random(all, deps({ random: seededRandom(testSeed) }));
    const excluded = new Set(['c0', 'c1']);
    const picks = 20_000;
    const counts = tally(() => picker.pick({ excluded }), picks);
    const rest = all.slice(2);
    const total = rest.reduce((sum, { weight }) => sum + weight, 0);
    for (const { key, weight } of rest) {
      const expected = (picks * weight) / total;
      // Five standard deviations.
      expect(Math.abs((counts.get(key) ?? 0) - expected)).toBeLessThan(5 * Math.sqrt(expected));
    }
  });
});
