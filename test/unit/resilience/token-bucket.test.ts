import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TokenBucket } from '../../../src/resilience/token-bucket.js';
import { FakeClock } from '../../support/fake-clock.js';

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

const takeAll = (bucket: TokenBucket) => {
  let taken = 0;
  while (bucket.tryTake()) taken += 1;
  return taken;
};

describe('TokenBucket', () => {
  it('gives its burst at once, then a token each time that one has come', async () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, clock);
    expect([takeAll(bucket), bucket.retryInMs()]).toEqual([3, 100]);
    await clock.advance(60);
    expect([bucket.tryTake(), bucket.retryInMs()]).toEqual([false, 40]);
    await clock.advance(40);
    expect([bucket.retryInMs(), takeAll(bucket)]).toEqual([0, 1]);
  });

  it('does not save up more than its burst', async () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, clock);
    takeAll(bucket);
    expect(bucket.isFull).toBe(false);
    await clock.advance(3_600_000);
    expect([bucket.isFull, takeAll(bucket)]).toEqual([true, 3]);
  });

  it('has less than one token a second where it is told so', async () => {
    const bucket = new TokenBucket({ perSecond: 0.5, burst: 1 }, clock);
    expect([takeAll(bucket), bucket.retryInMs()]).toEqual([1, 2_000]);
    await clock.advance(2_000);
    expect(takeAll(bucket)).toBe(1);
  });

  it('does not notice steps of the wall clock', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, clock);
    takeAll(bucket);
    clock.step(3_600_000);
    expect(bucket.tryTake()).toBe(false);
  });

  it('goes on with another limit without giving back what was used up', async () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 5 }, clock);
    for (let i = 0; i < 4; i++) bucket.tryTake();
    bucket.follow({ perSecond: 1, burst: 10 });
    expect(takeAll(bucket)).toBe(6);
    bucket.follow({ perSecond: 1, burst: 2 });
    expect([bucket.tryTake(), bucket.retryInMs()]).toEqual([false, 1_000]);
  });

  it('never grants more than its burst and what has come, however it is asked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 500 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 20 }),
        async (pauses, perSecond, burst) => {
          const time = new FakeClock();
          const bucket = new TokenBucket({ perSecond, burst }, time);
          let granted = takeAll(bucket);
          for (const pause of pauses) {
            await time.advance(pause);
            granted += takeAll(bucket);
            expect(granted).toBeLessThanOrEqual(burst + (time.monotonicMs() * perSecond) / 1000 + 1e-6);
            const waitMs = bucket.retryInMs();
            expect(waitMs).toBeGreaterThan(0);
            await time.advance(waitMs);
            expect(bucket.tryTake()).toBe(true);
            granted += 1;
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
