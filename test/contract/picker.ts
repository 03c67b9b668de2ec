import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BuildPicker, Candidate, PickerMemory } from '../../src/balancer/picker.js';
import type { Random } from '../../src/core/random.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

export interface PickerSuite {
  readonly build: BuildPicker;
  /**
   * How far from its fair share a candidate's number of picks may be, as a part of that share: 0 where turns are taken. Measured over
   * `PICKS` picks.
   */
  readonly tolerance: number;
}

export const PICKS = 20_000;

export function candidates(count: number, prefix = 'c'): Candidate[] {
  return Array.from({ length: count }, (_, i) => ({ key: `${prefix}${i}`, weight: 1, load: { inFlight: 0 } }));
}

function dependencies(random: Random = seededRandom(testSeed), memory: PickerMemory = { turn: 0 }) {
  return { random, memory };
}

/** How often each is picked when every call ends before the next begins. */
export function tally(pick: () => Candidate | undefined, picks: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < picks; i++) {
    const key = pick()?.key ?? 'none';
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** What every strategy promises. */
export function pickerContract(name: string, { build, tolerance }: PickerSuite): void {
  describe(`picker ${name} (seed ${testSeed})`, () => {
    it('gives undefined when there is nobody', () => {
      const picker = build([], dependencies());
      expect(picker.pick({})).toBeUndefined();
      expect(picker.pick({ excluded: new Set(['c0']) })).toBeUndefined();
    });

    it('gives undefined when all are excluded', () => {
      for (const count of [1, 2, 16, 17, 100]) {
        const all = candidates(count);
        const picker = build(all, dependencies());
        expect(picker.pick({ excluded: new Set(all.map(({ key }) => key)) })).toBeUndefined();
      }
    });

    it('gives the only one, again and again', () => {
      const [only] = candidates(1);
      const picker = build(only === undefined ? [] : [only], dependencies());
      for (let i = 0; i < 10; i++) expect(picker.pick({})).toBe(only);
    });

    it('gives one of the candidates that is not excluded, where there is one', () => {
      const given = fc.record({
        count: fc.integer({ min: 1, max: 40 }),
        excluded: fc.uniqueArray(fc.integer({ min: 0, max: 45 })),
        loads: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 40, maxLength: 40 }),
        seed: fc.integer(),
        turn: fc.integer({ min: 0, max: 2_000_000 }),
      });
      fc.assert(
        fc.property(given, ({ count, excluded, loads, seed, turn }) => {
          const all = candidates(count);
          all.forEach((candidate, index) => {
            candidate.load.inFlight = loads[index] ?? 0;
          });
          const keys = new Set(excluded.map((index) => `c${index}`));
          const picker = build(all, dependencies(seededRandom(seed), { turn }));
          const anyone = all.some(({ key }) => !keys.has(key));
          for (let i = 0; i < 5; i++) {
            const picked = picker.pick({ excluded: keys });
            expect(picked !== undefined).toBe(anyone);
            if (picked === undefined) continue;
            expect(all).toContain(picked);
            expect(keys.has(picked.key)).toBe(false);
          }
        }),
      );
    });

    it.each([2, 3, 16, 17, 50])('spreads calls over %d evenly', (count) => {
      const picker = build(candidates(count), dependencies());
      const counts = tally(() => picker.pick({}), PICKS);
      expect(counts.size).toBe(count);
      for (const times of counts.values())
        expect(Math.abs(times / (PICKS / count) - 1)).toBeLessThanOrEqual(tolerance + count / PICKS);
    });

    it('goes on evenly when the members change again and again', () => {
      const deps = dependencies();
      const all = candidates(9);
      const counts = new Map<string, number>();
      for (let round = 0; round < 2_000; round++) {
        // One of the last five is away in turn; the first four are always there.
        const picker = build(
          all.filter((_, index) => index < 4 || index - 4 !== round % 5),
          deps,
        );
        const key = picker.pick({})?.key ?? 'none';
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      for (const { key } of all.slice(0, 4)) expect(Math.abs((counts.get(key) ?? 0) / (2_000 / 8) - 1)).toBeLessThan(0.5);
      expect(counts.has('none')).toBe(false);
    });

    it('leaves the accounting to its user', () => {
      const all = candidates(20);
      const picker = build(all, dependencies());
      for (let i = 0; i < 100; i++) picker.pick(i % 2 === 0 ? {} : { excluded: new Set(['c3', 'c4']) });
      expect(all.every(({ load }) => load.inFlight === 0)).toBe(true);
    });
  });
}
