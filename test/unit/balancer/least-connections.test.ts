import { describe, expect, it } from '@jest/globals';
import { strategies } from '../../../src/balancer/strategies.js';
import { randomInt } from '../../../src/core/random.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { begin, candidate, candidates, deps, report, tally } from './candidates.js';

describe(`least connections (seed ${testSeed})`, () => {
  it.each([2, 5, 16])('gives the one with the least work among %d', (count) => {
    const all = candidates(count);
    all.forEach((one, index) => {
      begin(one, index === 1 ? 2 : 3);
    });
    const picker = strategies.least_connections(all, deps());
    for (let i = 0; i < 50; i++) expect(picker.pick({})?.key).toBe('c1');
    expect(picker.pick({ excluded: new Set(['c1']) })?.key).not.toBe('c1');
  });

  it('counts work for its weight', () => {
    const light = candidate('light', { weight: 1 });
    const heavy = candidate('heavy', { weight: 10 });
    begin(light, 1);
    begin(heavy, 9);
    const picker = strategies.least_connections([heavy, light], deps());
    expect(picker.pick({})).toBe(heavy);
    begin(heavy, 2);
    expect(picker.pick({})).toBe(light);
  });

  it('counts what others have there, as long as that was told lately', async () => {
    const clock = new FakeClock();
    const [told, ours] = [candidate('told'), candidate('ours')];
    told.load.report(report(5), 0);
    begin(ours, 1);
    const picker = strategies.least_connections([told, ours], deps({ clock }));
    expect(picker.pick({})).toBe(ours);
    await clock.advance(9_000);
    expect(picker.pick({})).toBe(told);
  });

  it('counts that among many too, of whom it sees two', async () => {
    const clock = new FakeClock();
    const [told, ours] = [candidates(20), candidates(20)];
    for (const { load } of told) load.report(report(5), 0);
    for (const one of ours) begin(one, 1);
    const picker = strategies.least_connections([...told, ...ours], deps({ clock }));
    const shareOfOurs = () => {
      const picked = Array.from({ length: 4_000 }, () => picker.pick({}));
      return picked.filter((one) => one !== undefined && ours.includes(one)).length / 4_000;
    };
    expect(Math.abs(shareOfOurs() - 0.75)).toBeLessThan(0.04);
    await clock.advance(9_000);
    expect(Math.abs(shareOfOurs() - 0.25)).toBeLessThan(0.04);
  });

  it('breaks ties at random', () => {
    const all = candidates(4);
    // Two tied ones side by side: the first of them from a random start would get three quarters.
    for (const one of all.slice(2)) begin(one, 1);
    const picker = strategies.least_connections(all, deps());
    const counts = tally(() => picker.pick({}), 4_000);
    for (const key of ['c0', 'c1']) expect(Math.abs((counts.get(key) ?? 0) / 2_000 - 1)).toBeLessThan(0.15);
  });

  it('keeps many of equal speed about equally busy', () => {
    const all = candidates(100);
    const picker = strategies.least_connections(all, deps());
    for (let i = 0; i < 1_000; i++) picker.pick({})?.load.begin();
    // Two choices keep the fullest within ln ln n of the mean, 10; one choice would not (about 20).
    expect(Math.max(...all.map(({ load }) => load.inFlight))).toBeLessThanOrEqual(14);
  });

  it('fills many in proportion to their weights', () => {
    const all = candidates(Array.from({ length: 50 }, (_, i) => (i < 5 ? 100 : 5)));
    const picker = strategies.least_connections(all, deps());
    for (let i = 0; i < 7_250; i++) picker.pick({})?.load.begin();
    // 10 for each unit of weight; drawn alike, the five would get 2 in 50 each: 290 instead of 1,000.
    for (const { load } of all.slice(0, 5)) expect(Math.abs(load.inFlight / 1_000 - 1)).toBeLessThan(0.1);
  });

  it('gives a slow one less work than the fast ones', () => {
    const all = candidates(4);
    const random = seededRandom(testSeed);
    const picker = strategies.least_connections(all, deps({ random }));
    const done = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      picker.pick({})?.load.begin();
      for (const { key, load } of all) {
        // c0 ends a call in one of 20 ticks, the others in one of two.
        if (load.inFlight === 0 || randomInt(random, key === 'c0' ? 20 : 2) > 0) continue;
        load.end();
        done.set(key, (done.get(key) ?? 0) + 1);
      }
    }
    expect((done.get('c0') ?? 0) * 3).toBeLessThan(done.get('c1') ?? 0);
  });
});
