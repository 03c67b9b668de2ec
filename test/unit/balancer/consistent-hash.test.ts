import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hashKey } from '../../../src/balancer/hash-key.js';
import type { Candidate, PickerDeps } from '../../../src/balancer/picker.js';
import { Ring, ringPoints } from '../../../src/balancer/ring.js';
import { strategies } from '../../../src/balancer/strategies.js';
import { testSeed } from '../../support/seeded-random.js';
import { begin, candidates, deps, report, tally } from './candidates.js';

const HASHES = Array.from({ length: 20_000 }, (_, i) => hashKey(`customer-${i}`));

/** Whom each of these keys belongs to. */
function owners(eligible: readonly Candidate[], more: Partial<PickerDeps> = {}, hashes = HASHES): (string | undefined)[] {
  const picker = strategies.consistent_hash(eligible, deps(more));
  return hashes.map((hash) => picker.pick({ hash })?.key);
}

function moved(before: readonly unknown[], after: readonly unknown[]): number {
  return before.filter((owner, index) => owner !== after[index]).length / before.length;
}

describe('consistent hashing', () => {
  it('gives the same one for the same key, in every process and whatever the order of the members', () => {
    const all = candidates(10);
    const first = owners(all);
    expect(owners(candidates(10))).toEqual(first);
    expect(moved(owners([...all].reverse()), first)).toBeLessThan(0.0005);
    expect(first.slice(0, 8)).toEqual(['c2', 'c5', 'c3', 'c3', 'c2', 'c7', 'c3', 'c5']);
  });

  it.each([3, 5, 10, 100])('moves at most 1.5 / %d of the keys when any one is lost, and only those that it had', (count) => {
    const all = candidates(count);
    const before = owners(all);
    for (const lost of all) {
      const after = owners(all.filter((one) => one !== lost));
      expect(moved(before, after)).toBeLessThanOrEqual(1.5 / count);
      expect(before.filter((owner, i) => owner !== after[i]).every((owner) => owner === lost.key)).toBe(true);
    }
  });

  it('moves as few when one is set aside, without a new ring', () => {
    const all = candidates(10);
    const shared = deps({ members: all });
    const before = owners(all, shared);
    const ring = shared.memory.kept;
    const after = owners(all.slice(1), shared);
    expect(shared.memory.kept).toBe(ring);
    expect(after.every((owner, i) => owner === before[i] || before[i] === 'c0')).toBe(true);
    expect(owners(all, shared)).toEqual(before);
  });

  it('keeps its ring while members and weights stay, and builds another when they do not', () => {
    const shared = deps();
    strategies.consistent_hash(candidates([1, 2, 3]), shared);
    const ring = shared.memory.kept;
    strategies.consistent_hash(candidates([1, 2, 3]), shared);
    expect(shared.memory.kept).toBe(ring);
    strategies.consistent_hash(candidates([1, 2, 4]), shared);
    expect(shared.memory.kept).not.toBe(ring);
  });

  it('gives each as many keys as its weight says, about', () => {
    const all = candidates([1, 2, 4, 8]);
    const counts = new Map<string | undefined, number>();
    for (const owner of owners(all)) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    for (const { key, weight } of all) expect(Math.abs((counts.get(key) ?? 0) / ((20_000 * weight) / 15) - 1)).toBeLessThan(0.3);
  });

  it('sends the keys of one that is excluded on, always to the same others', () => {
    const all = candidates(5);
    const picker = strategies.consistent_hash(all, deps());
    const excluded = new Set(['c2']);
    const without = strategies.consistent_hash(
      all.filter(({ key }) => key !== 'c2'),
      deps(),
    );
    for (const hash of HASHES.slice(0, 1_000)) expect(picker.pick({ hash, excluded })?.key).toBe(without.pick({ hash })?.key);
  });

  it('gives nobody more than 1.25 times his share of the work, one task more or less, even if all ask for one key', () => {
    const all = candidates([1, 1, 2, 2, 4]);
    const picker = strategies.consistent_hash(all, deps());
    for (let i = 1; i <= 1_000; i++) {
      picker.pick({ hash: 12_345 })?.load.begin();
      // What the bound is based on is as old as there are candidates.
      for (const { load, weight } of all) expect(load.inFlight).toBeLessThanOrEqual(Math.ceil((1.25 * i * weight) / 10));
    }
  });

  it('holds that bound among many as well, whose work it looks at in blocks', () => {
    const all = candidates(200);
    const picker = strategies.consistent_hash(all, deps());
    for (const one of all) begin(one, 8);
    // As many picks as there are candidates, and a block more.
    for (let i = 0; i < 208; i++) picker.pick({ hash: i });
    for (let i = 0; i < 16; i++) picker.pick({ hash: 12_345 })?.load.begin();
    // A share is 8 tasks, a little more with each that is added, so the bound is 11.
    const most = all.map(({ load }) => load.inFlight).sort((a, b) => b - a);
    expect(most.slice(0, 7)).toEqual([11, 11, 11, 11, 11, 9, 8]);
  });

  it('comes back to the one of the key when that has room again', () => {
    const all = candidates(4);
    const picker = strategies.consistent_hash(all, deps());
    const [hash = 0] = HASHES;
    const home = picker.pick({ hash });
    if (home !== undefined) begin(home, 10);
    for (let i = 0; i < 10; i++) expect(picker.pick({ hash })).not.toBe(home);
    for (let i = 0; i < 10; i++) home?.load.end();
    for (let i = 0; i < 10; i++) picker.pick({ hash });
    expect(picker.pick({ hash })).toBe(home);
  });

  it('stays with one that told that it has room, though others have less to do', () => {
    const all = candidates(4);
    const picker = strategies.consistent_hash(all, deps());
    const [hash = 0] = HASHES;
    const home = picker.pick({ hash });
    home?.load.report(report(0, { limit: 8 }), 0);
    for (let i = 0; i < 8; i++) {
      expect(picker.pick({ hash })).toBe(home);
      home?.load.begin();
    }
    expect(picker.pick({ hash })).not.toBe(home);
  });

  it('gives the first one clockwise when nobody is within his bound', () => {
    const all = candidates(5);
    const idle = owners(all);
    // Looked at while they had nothing to do, all of them are far over it now.
    const picker = strategies.consistent_hash(all, deps());
    for (const one of all) begin(one, 50);
    expect(HASHES.slice(0, 1).map((hash) => picker.pick({ hash })?.key)).toEqual(idle.slice(0, 1));
  });

  it('without a key chooses at random', () => {
    const picker = strategies.consistent_hash(candidates(4), deps());
    expect(tally(() => picker.pick({}), 100).size).toBe(4);
  });
});

describe(`the ring (seed ${testSeed})`, () => {
  const memberOf = (key: string, weight = 1) => ({ key, weight });

  it.each([1, 2, 20, 1_000, 20_000])('finds the first point clockwise of any hash, and whose it is, with %d members', (count) => {
    const members = Array.from({ length: count }, (_, i) => memberOf(`m${i}`));
    const ring = new Ring(members);
    const points = ringPoints(members);
    const hashes = points.filter((_, i) => i % 2 === 0);
    expect(ring.size).toBe(hashes.length);
    expect(hashes.every((hash, i) => i === 0 || hash >= (hashes[i - 1] ?? 0))).toBe(true);
    const someHash = fc.nat(hashes.length - 1).map((point) => hashes[point] ?? 0);
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), someHash, fc.constantFrom(0, 2 ** 32 - 1)), (hash) => {
        const expected = Math.max(
          0,
          hashes.findIndex((point) => point >= hash),
        );
        expect(ring.find(hash)).toBe(expected);
        expect(ring.memberAt(expected)).toBe(points[expected * 2 + 1]);
      }),
      { seed: testSeed | 0 },
    );
  });

  it('has 160 points for each of weight 1, and a bounded number for many', () => {
    expect(new Ring([memberOf('a')]).size).toBe(160);
    expect(new Ring(Array.from({ length: 1_000 }, (_, i) => memberOf(`m${i}`))).size).toBe(160_000);
    for (const weight of [1, 1_000]) {
      const many = new Ring(Array.from({ length: 20_000 }, (_, i) => memberOf(`m${i}`, weight)));
      expect(many.size).toBeGreaterThan(2 ** 17);
      expect(many.size).toBeLessThanOrEqual(2 ** 19);
    }
  });

  it.each([1, 2, 10, 100, 1_000])('has enough points where the weights are all %d', (weight) => {
    const { size } = new Ring(Array.from({ length: 10 }, (_, i) => memberOf(`m${i}`, weight)));
    expect(size / 10).toBeGreaterThanOrEqual(113);
    expect(size / 10).toBeLessThanOrEqual(453);
  });
});
