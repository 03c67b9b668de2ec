import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BuildPicker, Candidate, PickRequest } from '../../src/balancer/picker.js';
import { type Random, randomInt } from '../../src/core/random.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';
import { begin, candidate, candidates, deps, report, tally } from '../unit/balancer/candidates.js';

export interface PickerSuite {
  readonly build: BuildPicker;
  /** Whether an idle set is chosen from as often as weights say; else all alike. */
  readonly byWeight: boolean;
  /**
   * How far from its fair share a candidate's number of picks may be, as a part of that share: 0 where turns are taken. Measured over
   * `PICKS` picks.
   */
  readonly tolerance: number;
}

/** A zone preference under test: candidates are in this zone, and as many others are elsewhere, who must not matter while nobody is busy. */
export const OWN_ZONE = 'here';
const PICKS = 20_000;

/** A request for any key. */
function anyKey(random: Random, excluded?: ReadonlySet<string>): PickRequest {
  return { hash: randomInt(random, 2 ** 32), excluded };
}

function share({ weight }: Candidate, all: readonly Candidate[], byWeight: boolean): number {
  return byWeight ? weight / all.reduce((sum, other) => sum + other.weight, 0) : 1 / all.length;
}

/** What every strategy promises. `elsewhere` more candidates of another zone are added in each test of who is chosen how often. */
export function pickerContract(name: string, { build, byWeight, tolerance }: PickerSuite, elsewhere = 0): void {
  const here = (weights: number | readonly number[]) => candidates(weights, { zone: OWN_ZONE });
  const others = Array.from({ length: elsewhere }, (_, i) => candidate(`elsewhere${i}`, { zone: 'there' }));
  const random = seededRandom(testSeed);

  describe(`picker ${name} (seed ${testSeed})`, () => {
    it('gives undefined when there is nobody', () => {
      const picker = build([], deps());
      for (const hash of [undefined, 0, 2 ** 32 - 1]) {
        expect(picker.pick({ hash })).toBeUndefined();
        expect(picker.pick({ hash, excluded: new Set(['c0']) })).toBeUndefined();
      }
    });

    it('gives undefined when nobody is eligible though there are members', () => {
      expect(build([], deps({ members: candidates(5) })).pick(anyKey(random))).toBeUndefined();
    });

    it('gives undefined when all are excluded', () => {
      for (const count of [1, 2, 16, 17, 100]) {
        const all = [...here(count), ...others];
        const picker = build(all, deps());
        const excluded = new Set(all.map(({ key }) => key));
        expect(picker.pick({ excluded })).toBeUndefined();
        expect(picker.pick(anyKey(random, excluded))).toBeUndefined();
      }
    });

    it('gives the only one, again and again', () => {
      const [only] = here(1);
      const picker = build(only === undefined ? [] : [only], deps());
      for (let i = 0; i < 10; i++) {
        expect(picker.pick(anyKey(random))).toBe(only);
        only?.load.begin();
      }
    });

    it('gives one of the candidates that is not excluded, where there is one, and leaves their loads alone', () => {
      const member = fc.record({
        eligible: fc.boolean(),
        weight: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1_000 })),
        zone: fc.constantFrom(OWN_ZONE, 'there', ''),
        calls: fc.integer({ min: 0, max: 3 }),
        told: fc.option(fc.record({ inFlight: fc.nat(5), queued: fc.nat(3), limit: fc.nat(4) })),
        latencyMs: fc.option(fc.integer({ min: 0, max: 5_000 })),
      });
      const given = fc.record({
        members: fc.array(member, { minLength: 1, maxLength: 40 }),
        excluded: fc.uniqueArray(fc.nat(45)),
        hashes: fc.array(fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { nil: undefined }), { minLength: 5, maxLength: 5 }),
        seed: fc.integer(),
        turn: fc.nat(2_000_000),
      });
      fc.assert(
        fc.property(given, ({ members: described, excluded, hashes, seed, turn }) => {
          const members = described.map(({ weight, zone, calls, told, latencyMs }, i) => {
            const made = candidate(`c${i}`, { weight, zone });
            begin(made, calls);
            if (told !== null) made.load.report({ ...told, eventLoopDelayMs: 0, cpu: 0 }, 0);
            if (latencyMs !== null) made.load.observe(latencyMs, 0);
            return made;
          });
          const eligible = members.filter((_, i) => described[i]?.eligible);
          const loads = () => members.map(({ load }) => [load.inFlight, load.work(1), load.cost(1), load.isBusy(1)]);
          const before = loads();
          const keys = new Set(excluded.map((index) => `c${index}`));
          const picker = build(eligible, deps({ random: seededRandom(seed), memory: { turn }, members }));
          for (const hash of hashes) {
            const picked = picker.pick({ hash, excluded: keys });
            expect(picked !== undefined).toBe(eligible.some(({ key }) => !keys.has(key)));
            if (picked !== undefined) expect(eligible.includes(picked) && !keys.has(picked.key)).toBe(true);
            const any = picker.pick({ hash });
            expect(any === undefined).toBe(eligible.length === 0);
            if (any !== undefined) expect(eligible).toContain(any);
          }
          expect(loads()).toEqual(before);
        }),
        { seed: testSeed | 0 },
      );
    });

    it.each([
      [2],
      [3],
      [16],
      [17],
      [50],
      [[3, 1]],
      [[5, 1, 1]],
      [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
      [Array.from({ length: 40 }, (_, i) => 1 + (i % 4))],
    ])('spreads calls over %j in fair shares', (weights: number | number[]) => {
      const all = here(weights);
      const picker = build([...all, ...others], deps());
      const counts = tally(() => picker.pick(anyKey(random)), PICKS);
      expect(counts.size).toBe(all.length);
      for (const one of all) {
        const expected = share(one, all, byWeight) * PICKS;
        expect(Math.abs((counts.get(one.key) ?? 0) / expected - 1)).toBeLessThanOrEqual(tolerance + 2 / expected);
      }
    });

    it.each([5, 30])('gives the share of one of %d that is excluded to all others, not to its neighbour', (count) => {
      const all = here(count);
      const picker = build([...all, ...others], deps());
      const excluded = new Set(['c1']);
      const counts = tally(() => picker.pick(anyKey(random, excluded)), PICKS);
      expect(counts.has('c1')).toBe(false);
      const expected = PICKS / (count - 1);
      for (const times of counts.values()) expect(Math.abs(times / expected - 1)).toBeLessThanOrEqual(tolerance + 2 / expected);
    });

    it('goes on in fair shares when the members change again and again', () => {
      const shared = deps({ memory: { turn: 0 } });
      const all = here([1, 2, 3, 4, 1, 2, 3, 4, 5]);
      const counts = new Map<string, number>();
      const rounds = 8_000;
      for (let round = 0; round < rounds; round++) {
        // One of the last five is away in turn; the first four are always there.
        const eligible = all.filter((_, index) => index < 4 || index - 4 !== round % 5);
        const key =
          build([...eligible, ...others], { ...shared, members: [...all, ...others] }).pick(anyKey(random))?.key ?? 'none';
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      const always = all.slice(0, 4);
      const total = always.reduce((sum, { key }) => sum + (counts.get(key) ?? 0), 0);
      for (const one of always) {
        expect(Math.abs((counts.get(one.key) ?? 0) / (share(one, always, byWeight) * total) - 1)).toBeLessThan(0.4);
      }
      expect(counts.has('none')).toBe(false);
    });

    it('is a snapshot: an older picker goes on choosing from its own candidates', () => {
      const shared = deps();
      const all = here([1, 1, 2, 3, 3]);
      const older = build(all.slice(0, 3), shared);
      const newer = build(all.slice(2), shared);
      for (let i = 0; i < 100; i++) {
        expect(all.slice(0, 3)).toContain(older.pick(anyKey(random)));
        expect(all.slice(2)).toContain(newer.pick(anyKey(random)));
      }
    });

    it('loses and invents no call, whatever begins and ends in which order', () => {
      const all = [...here([1, 2, 3, 4, 5]), ...others];
      const shared = deps();
      let picker = build(all, shared);
      const underWay: Candidate[] = [];
      for (let step = 0; step < 5_000; step++) {
        if (randomInt(random, 100) === 0) picker = build(all.slice(randomInt(random, 3)), { ...shared, members: all });
        if (underWay.length > 0 && randomInt(random, 2) === 0) {
          const [ended] = underWay.splice(randomInt(random, underWay.length), 1);
          ended?.load.end();
          ended?.load.observe(randomInt(random, 100), step);
          if (randomInt(random, 4) === 0) ended?.load.report(report(randomInt(random, 9)), step);
        } else {
          const picked = picker.pick(anyKey(random));
          picked?.load.begin();
          if (picked !== undefined) underWay.push(picked);
        }
      }
      for (const one of all) expect(one.load.inFlight).toBe(underWay.filter((other) => other === one).length);
      for (const { load } of underWay) load.end();
      expect(all.every(({ load }) => load.inFlight === 0)).toBe(true);
    });
  });
}
