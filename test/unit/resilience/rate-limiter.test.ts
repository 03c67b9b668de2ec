import { beforeEach, describe, expect, it } from '@jest/globals';
import { RateLimiter } from '../../../src/resilience/rate-limiter.js';
import type { RateLimit } from '../../../src/resilience/token-bucket.js';
import { FakeClock } from '../../support/fake-clock.js';

const LIMIT: RateLimit = { perSecond: 10, burst: 2 };

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

const takes = (limiter: RateLimiter, key: string, times: number) => Array.from({ length: times }, () => limiter.take(key));

describe('RateLimiter', () => {
  it('keeps callers apart, and says how long each has to wait', async () => {
    const limiter = new RateLimiter(() => LIMIT, clock);
    expect(takes(limiter, 'a', 4)).toEqual([0, 0, 100, 100]);
    expect(takes(limiter, 'b', 2)).toEqual([0, 0]);
    await clock.advance(100);
    expect(takes(limiter, 'a', 2)).toEqual([0, 100]);
  });

  it('lets those pass who have no limit, and keeps nothing of them', () => {
    const limiter = new RateLimiter((key) => (key === 'free' ? undefined : LIMIT), clock);
    expect(takes(limiter, 'free', 100)).toEqual(new Array(100).fill(0));
    expect(limiter.size).toBe(0);
  });

  it('takes of all or of none, and says whose tokens are missing', async () => {
    const limiter = new RateLimiter((key) => (key === 'free' ? undefined : LIMIT), clock);
    takes(limiter, 'b', 2);
    expect(limiter.takeAll(['a', 'free', 'b'])).toEqual({ key: 'b', waitMs: 100 });
    expect(takes(limiter, 'a', 3)).toEqual([0, 0, 100]);
    await clock.advance(100);
    expect(limiter.takeAll(['a', 'b'])).toBeUndefined();
    expect([limiter.take('a'), limiter.take('b')]).toEqual([100, 100]);
  });

  it('gives back what it took twice of one key', () => {
    const limiter = new RateLimiter(() => LIMIT, clock);
    expect(limiter.takeAll(['a', 'a', 'a'])).toEqual({ key: 'a', waitMs: 100 });
    expect(takes(limiter, 'a', 3)).toEqual([0, 0, 100]);
  });

  it('follows a limit that changes', () => {
    let limit: RateLimit = LIMIT;
    const limiter = new RateLimiter(() => limit, clock);
    takes(limiter, 'a', 3);
    limit = { perSecond: 1, burst: 2 };
    expect(limiter.take('a')).toBe(1_000);
  });

  it('never forgives a caller who used up his tokens, however many others come', () => {
    const limiter = new RateLimiter(() => LIMIT, clock, 100);
    takes(limiter, 'greedy', 3);
    for (let i = 0; i < 10_000; i++) takes(limiter, `made-up-${i}`, 3);
    expect(limiter.take('greedy')).toBeGreaterThan(0);
    expect(limiter.size).toBe(100);
  });

  it('lets newcomers share one bucket while it is full of callers without tokens, and takes them in when there is room', async () => {
    const limiter = new RateLimiter(() => LIMIT, clock, 100);
    for (let i = 0; i < 100; i++) takes(limiter, `made-up-${i}`, 3);
    expect([limiter.take('new-1'), limiter.take('new-2'), limiter.take('new-3')]).toEqual([0, 0, 100]);
    await clock.advance(200);
    expect([limiter.take('new-3'), limiter.take('new-3'), limiter.take('new-3')]).toEqual([0, 0, 100]);
    expect(limiter.size).toBe(100);
  });

  it('keeps at most 10,000 callers apart', () => {
    const limiter = new RateLimiter(() => LIMIT, clock);
    for (let i = 0; i < 20_000; i++) limiter.take(`caller-${i}`);
    expect(limiter.size).toBe(10_000);
  });
});
