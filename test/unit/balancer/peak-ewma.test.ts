import { describe, expect, it } from '@jest/globals';
import type { Candidate, Picker } from '../../../src/balancer/picker.js';
import { strategies } from '../../../src/balancer/strategies.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { candidate, candidates, deps } from './candidates.js';

/** One call after the other, each as long as `latencyMs` says; gives how many each candidate got. */
async function inTurn(
  picker: Picker<Candidate>,
  clock: FakeClock,
  untilMs: number,
  latencyMs: (key: string) => number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  while (clock.monotonicMs() < untilMs) {
    const picked = picker.pick({});
    if (picked === undefined) throw new Error('nobody was picked');
    picked.load.begin();
    const took = latencyMs(picked.key);
    await clock.advance(took);
    picked.load.end();
    picked.load.observe(took, clock.monotonicMs());
    counts.set(picked.key, (counts.get(picked.key) ?? 0) + 1);
  }
  return counts;
}

describe(`peak EWMA (seed ${testSeed})`, () => {
  it('leaves one of five alone as soon as it is slow, and tries it again later', async () => {
    const clock = new FakeClock();
    const random = seededRandom(testSeed);
    const picker = strategies.peak_ewma(candidates(5), deps({ clock, random }));
    let slow = false;
    const latencyMs = (key: string) => (slow && key === 'c0' ? 500 : 5 + random.next() * 10);
    const before = await inTurn(picker, clock, 20_000, latencyMs);
    expect(before.get('c0') ?? 0).toBeGreaterThan(20_000 / 10 / 5 / 4);
    slow = true;
    // One call shows that it is slow; 500 ms decay to 10 ms within 39 s, tau being 10 s.
    const during = await inTurn(picker, clock, 50_000, latencyMs);
    expect(during.get('c0') ?? 0).toBeLessThanOrEqual(2);
    slow = false;
    const after = await inTurn(picker, clock, 120_000, latencyMs);
    expect(after.get('c0') ?? 0).toBeGreaterThan(100);
  });

  it('gives a slow one at work a small share, with many calls under way', async () => {
    const clock = new FakeClock();
    const picker = strategies.peak_ewma(candidates(5), deps({ clock }));
    const counts = new Map<string, number>();
    // A call each millisecond for 20 s: 10 ms each, at c0 200.
    for (let ms = 0; ms < 20_000; ms++) {
      const picked = picker.pick({});
      if (picked === undefined) throw new Error('nobody was picked');
      const { key, load } = picked;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      load.begin();
      const took = key === 'c0' ? 200 : 10;
      clock.after(took, () => {
        load.end();
        load.observe(took, clock.monotonicMs());
      });
      await clock.advance(1);
    }
    expect((counts.get('c0') ?? 0) / 20_000).toBeLessThan(0.02);
    for (const key of ['c1', 'c2', 'c3', 'c4']) expect((counts.get(key) ?? 0) / 20_000).toBeGreaterThan(0.15);
  });

  it('of two takes the better one nearly always', () => {
    const [fast, slow] = [candidate('fast'), candidate('slow')];
    fast.load.observe(10, 0);
    slow.load.observe(100, 0);
    const picker = strategies.peak_ewma([fast, slow], deps());
    let slower = 0;
    for (let i = 0; i < 10_000; i++) if (picker.pick({}) === slow) slower += 1;
    expect(slower).toBeLessThan(100);
    expect(picker.pick({ excluded: new Set(['fast']) })).toBe(slow);
  });

  it('gives an unknown one a single call until it has been measured', () => {
    const [known, unknown] = [candidate('known'), candidate('unknown')];
    known.load.observe(10, 0);
    const picker = strategies.peak_ewma([known, unknown], deps());
    const firsts = Array.from({ length: 20 }, () => picker.pick({}));
    expect(firsts.filter((picked) => picked === unknown).length).toBeGreaterThan(17);
    unknown.load.begin();
    expect(Array.from({ length: 20 }, () => picker.pick({})).filter((picked) => picked === known).length).toBeGreaterThan(17);
  });
});
