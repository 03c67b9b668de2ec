import { describe, expect, it } from '@jest/globals';
import { STRATEGY_NAMES, type StrategyName, strategies } from '../../src/balancer/strategies.js';
import { randomInt } from '../../src/core/random.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';
import { candidates, pickerContract, tally } from './picker.js';

const TOLERANCES: Readonly<Record<StrategyName, number>> = { round_robin: 0, random: 0.25, least_connections: 0.25 };

for (const name of STRATEGY_NAMES) pickerContract(name, { build: strategies[name], tolerance: TOLERANCES[name] });

const deps = () => ({ random: seededRandom(testSeed), memory: { turn: 0 } });

describe('round robin', () => {
  it('takes turns, also round the end', () => {
    const picker = strategies.round_robin(candidates(3), deps());
    expect(Array.from({ length: 7 }, () => picker.pick({})?.key)).toEqual(['c1', 'c2', 'c0', 'c1', 'c2', 'c0', 'c1']);
  });

  it('goes on where it was when a member comes', () => {
    const memory = { turn: 0 };
    const random = seededRandom(testSeed);
    const before = strategies.round_robin(candidates(3), { random, memory });
    before.pick({});
    before.pick({});
    const after = strategies.round_robin(candidates(4), { random, memory });
    expect(Array.from({ length: 4 }, () => after.pick({})?.key)).toEqual(['c3', 'c0', 'c1', 'c2']);
  });

  it('does not lose its way at the end of the safe integers', () => {
    const picker = strategies.round_robin(candidates(3), { ...deps(), memory: { turn: Number.MAX_SAFE_INTEGER - 2 } });
    for (let i = 0; i < 6; i++) expect(picker.pick({})).toBeDefined();
  });

  it('gives the turns of one that is excluded to the others', () => {
    const picker = strategies.round_robin(candidates(3), deps());
    const counts = tally(() => picker.pick({ excluded: new Set(['c1']) }), 300);
    expect([...counts.keys()].sort()).toEqual(['c0', 'c2']);
  });
});

describe('least connections', () => {
  it.each([2, 5, 16])('gives the one that is idle among %d', (count) => {
    const all = candidates(count);
    for (const { load } of all) load.inFlight = 3;
    const idle = all[1];
    if (idle !== undefined) idle.load.inFlight = 2;
    const picker = strategies.least_connections(all, deps());
    for (let i = 0; i < 50; i++) expect(picker.pick({})).toBe(idle);
    expect(picker.pick({ excluded: new Set(['c1']) })?.key).not.toBe('c1');
  });

  it('breaks ties at random', () => {
    const picker = strategies.least_connections(candidates(4), deps());
    const counts = tally(() => picker.pick({}), 4_000);
    for (const times of counts.values()) expect(Math.abs(times / 1_000 - 1)).toBeLessThan(0.2);
  });

  it('keeps many of equal speed about equally busy', () => {
    const all = candidates(100);
    const picker = strategies.least_connections(all, deps());
    for (let i = 0; i < 1_000; i++) {
      const picked = picker.pick({});
      if (picked !== undefined) picked.load.inFlight += 1;
    }
    // Two choices keep the fullest within ln ln n of the mean, 10; one choice would not (about 20).
    expect(Math.max(...all.map(({ load }) => load.inFlight))).toBeLessThanOrEqual(14);
  });

  it('gives a slow one less work than the fast ones', () => {
    const all = candidates(4);
    const random = seededRandom(testSeed);
    const picker = strategies.least_connections(all, { random, memory: { turn: 0 } });
    const done = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const picked = picker.pick({});
      if (picked !== undefined) picked.load.inFlight += 1;
      for (const { key, load } of all) {
        // c0 ends a call in one of 20 ticks, the others in one of two.
        if (load.inFlight === 0 || randomInt(random, key === 'c0' ? 20 : 2) > 0) continue;
        load.inFlight -= 1;
        done.set(key, (done.get(key) ?? 0) + 1);
      }
    }
    expect((done.get('c0') ?? 0) * 3).toBeLessThan(done.get('c1') ?? 0);
  });
});
