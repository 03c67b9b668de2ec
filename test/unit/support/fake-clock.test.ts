import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';

describe('FakeClock', () => {
  it('runs what falls due in order of time, then of setting, each at its time', async () => {
    const clock = new FakeClock();
    const startMs = clock.now();
    const ran: [string, number, number][] = [];
    const note = (name: string) => () => ran.push([name, clock.monotonicMs(), clock.now() - startMs]);
    clock.after(20, note('c'));
    clock.after(10, note('a'));
    clock.after(10, note('b'));
    clock.after(31, note('not yet'));
    await clock.advance(30);
    expect(ran).toEqual([
      ['a', 10, 10],
      ['b', 10, 10],
      ['c', 20, 20],
    ]);
    expect(clock.monotonicMs()).toBe(30);
    expect(clock.pending).toBe(1);
  });

  it('runs timers that were set meanwhile, by timers and by promises', async () => {
    const clock = new FakeClock();
    const ranAtMs: number[] = [];
    const again = () => {
      ranAtMs.push(clock.monotonicMs());
      void Promise.resolve().then(() => clock.after(10, again));
    };
    clock.after(10, again);
    await clock.advance(35);
    expect(ranAtMs).toEqual([10, 20, 30]);
  });

  it('forgets what is called off', async () => {
    const clock = new FakeClock();
    let ran = false;
    clock.after(10, () => {
      ran = true;
    })();
    await clock.advance(100);
    expect(ran).toBe(false);
  });

  it('steps the wall clock without touching durations', () => {
    const clock = new FakeClock(1_000);
    clock.step(-500);
    expect([clock.now(), clock.monotonicMs()]).toEqual([500, 0]);
  });
});

describe('seededRandom', () => {
  it('repeats itself by seed, and spreads over [0, 1)', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 10_000 }, () => random.next());
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    const mean = draw(1).reduce((sum, number) => sum + number, 0) / 10_000;
    expect(mean).toBeCloseTo(0.5, 1);
    expect(draw(1).every((number) => number >= 0 && number < 1)).toBe(true);
  });
});
