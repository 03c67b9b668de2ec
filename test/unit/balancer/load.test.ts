import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Load } from '../../../src/balancer/load.js';
import { testSeed } from '../../support/seeded-random.js';
import { report } from './candidates.js';

function loadWith(calls: number): Load {
  const load = new Load();
  for (let i = 0; i < calls; i++) load.begin();
  return load;
}

describe('calls in flight', () => {
  it('are what begins and has not ended, never below zero', () => {
    const load = loadWith(2);
    expect(load.inFlight).toBe(2);
    for (let i = 0; i < 5; i++) load.end();
    expect(load.inFlight).toBe(0);
    load.begin();
    expect(load.inFlight).toBe(1);
  });
});

describe('the cost of a call', () => {
  it('is the latency times what would be in flight', () => {
    const load = loadWith(2);
    load.observe(50.25, 1_000);
    expect(load.cost(1_000)).toBeCloseTo(150.75, 6);
  });

  it('rises to a peak at once', () => {
    const load = new Load();
    load.observe(10, 0);
    load.observe(900, 1);
    expect(load.cost(1)).toBeCloseTo(900, 6);
  });

  it('falls by and by: after 10 s of better latencies a third of the difference is left', () => {
    const load = new Load();
    load.observe(1_000, 0);
    for (let ms = 10; ms <= 10_000; ms += 10) load.observe(100, ms);
    expect(load.cost(10_000)).toBeCloseTo(100 + 900 / Math.E, 0);
  });

  it('decays while nothing is measured, so that a slow one is tried again', () => {
    const load = new Load();
    load.observe(1_000, 0);
    expect(load.cost(10_000)).toBeCloseTo(1_000 / Math.E, 3);
    expect(load.cost(100_000)).toBeLessThan(0.1);
  });

  it('of one never measured is nothing while it is idle, and more than any latency while it is tried', () => {
    const load = new Load();
    expect(load.cost(5)).toBe(0);
    load.begin();
    expect(load.cost(5)).toBeGreaterThan(3_600_000);
    const busier = loadWith(2);
    expect(busier.cost(5)).toBeGreaterThan(load.cost(5));
    load.end();
    load.observe(0, 5);
    load.begin();
    expect(load.cost(5)).toBe(0);
  });

  it('holds small differences of an average that is measured often', () => {
    const load = new Load();
    load.observe(20, 0);
    for (let ms = 1; ms <= 60_000; ms++) load.observe(19.5, ms);
    expect(load.cost(60_000)).toBeCloseTo(19.5, 2);
  });

  it(`compares alike at any time (seed ${testSeed})`, () => {
    const measured = fc.record({
      calls: fc.nat(5),
      latencyMs: fc.option(fc.integer({ min: 1, max: 60_000 })),
      atMs: fc.nat(60_000),
    });
    const make = ({ calls, latencyMs, atMs }: { calls: number; latencyMs: number | null; atMs: number }) => {
      const load = loadWith(calls);
      if (latencyMs !== null) load.observe(latencyMs, atMs);
      return load;
    };
    fc.assert(
      fc.property(measured, measured, (a, b) => {
        const [one, other] = [make(a), make(b)];
        for (const nowMs of [60_000, 75_000]) {
          const difference = one.cost(nowMs) - other.cost(nowMs);
          if (Math.abs(difference) > 1e-9 * one.cost(nowMs)) expect(one.isCheaperThan(other)).toBe(difference < 0);
        }
      }),
      { seed: testSeed | 0 },
    );
  });
});

describe('work', () => {
  it('is our own where nothing was told', () => {
    expect(loadWith(3).work(1_000_000)).toBe(3);
  });

  it('counts what others have there, which fades to nothing within 10 s', () => {
    const load = loadWith(3);
    load.report(report(5, { queued: 2 }), 1_000);
    expect(load.work(1_000)).toBe(7);
    expect(load.work(6_000)).toBe(5);
    for (const nowMs of [11_000, 1_000_000]) expect(load.work(nowMs)).toBe(3);
  });

  it('is between our own and all that was told, and never more than for an earlier time, even one before the report', () => {
    const load = loadWith(3);
    load.report(report(7), 5_000);
    const works = [0, 4_999, 5_000, 5_001, 9_000, 15_000, 20_000].map((nowMs) => load.work(nowMs));
    expect([...works].sort((a, b) => b - a)).toEqual(works);
    expect([works[2], works.at(-1)]).toEqual([load.mostWork, load.inFlight]);
  });

  it('takes those for others who were not ours when it was told', () => {
    const load = loadWith(3);
    load.report(report(5), 0);
    load.end();
    load.end();
    expect(load.work(0)).toBe(3);
    load.report(report(0), 0);
    expect(load.work(0)).toBe(1);
  });
});

describe('busy', () => {
  it('is one that told of a queue a moment ago', () => {
    const load = new Load();
    load.report(report(1, { queued: 1 }), 0);
    expect([load.isBusy(0), load.isBusy(999), load.isBusy(1_000)]).toEqual([true, true, false]);
  });

  it('is one that has as much as it takes at once, where it told how much that is', () => {
    const load = loadWith(9);
    expect(load.isBusy(0)).toBe(false);
    load.report(report(9, { limit: 10 }), 0);
    expect([load.isBusy(0), load.hasRoom(0)]).toEqual([false, true]);
    load.begin();
    expect([load.isBusy(60_000), load.hasRoom(60_000)]).toEqual([true, false]);
  });

  it('is nobody of whom nothing is known, nor has he room', () => {
    expect([new Load().isBusy(0), new Load().hasRoom(0)]).toEqual([false, false]);
  });
});
