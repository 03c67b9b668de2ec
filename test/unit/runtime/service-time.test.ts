import { describe, expect, it } from '@jest/globals';
import { isTooLate, neededMs, retryAfterMs, ServiceTime, waitMs } from '../../../src/runtime/service-time.js';

describe('ServiceTime', () => {
  it('has no estimate before ten tasks were seen, then their mean', () => {
    const service = new ServiceTime();
    for (let task = 1; task < 10; task++) service.observe(task * 10);
    expect(service.ms).toBeUndefined();
    service.observe(100);
    expect(service.ms).toBeCloseTo(55, -1);
  });

  it('follows tasks that get longer or shorter', () => {
    const service = new ServiceTime();
    for (let task = 0; task < 20; task++) service.observe(100);
    for (let task = 0; task < 20; task++) service.observe(1_000);
    expect(service.ms).toBeGreaterThan(900);
    for (let task = 0; task < 60; task++) service.observe(10);
    expect(service.ms).toBeLessThan(20);
    expect(service.deviationMs).toBeLessThan(20);
  });

  it('tells by how much tasks differ', () => {
    const service = new ServiceTime();
    for (let task = 0; task < 200; task++) service.observe(task % 2 === 0 ? 50 : 150);
    expect(service.deviationMs).toBeGreaterThan(40);
    expect(service.deviationMs).toBeLessThan(60);
  });
});

describe('the wait of a task', () => {
  it.each([
    [0, 1, 100, 100],
    [9, 1, 100, 1_000],
    [9, 10, 100, 100],
    [0, 4, 100, 25],
  ])('behind %d others, %d at once, each %d ms: %d ms', (ahead, concurrency, serviceMs, expected) => {
    expect(waitMs({ ahead, concurrency, serviceMs, deviationMs: 0, overtaking: 0 })).toBe(expected);
  });

  it('and its own time are what it needs, a tenth more, and what tasks differ by', () => {
    const line = { ahead: 3, concurrency: 1, serviceMs: 100, deviationMs: 0, overtaking: 0 };
    expect(neededMs(line)).toBeCloseTo(550);
    expect(neededMs({ ...line, deviationMs: 10 })).toBeCloseTo(550 + 2 * 10 * 3);
    expect(neededMs({ ...line, concurrency: 4, deviationMs: 10 })).toBeCloseTo(220 + 2 * 10 * 1.5);
  });
});

describe('a task that others overtake', () => {
  it('waits longer by their part', () => {
    const line = { ahead: 3, concurrency: 1, serviceMs: 100, deviationMs: 0, overtaking: 0 };
    expect(waitMs({ ...line, overtaking: 0.5 })).toBeCloseTo(800);
    expect(waitMs({ ...line, overtaking: 0.75 })).toBeCloseTo(1_600);
  });

  it('is too late where, at its turn, too little is left for its own time', () => {
    const line = { ahead: 0, concurrency: 1, serviceMs: 100, deviationMs: 10, overtaking: 0 };
    expect(isTooLate(line, 131)).toBe(false);
    expect(isTooLate(line, 129)).toBe(true);
  });
});

describe('retryAfterMs', () => {
  it.each([
    [undefined, 100],
    [0, 10],
    [10.2, 11],
    [777, 777],
    [60_000, 5_000],
  ])('of %s ms is %d ms', (ms, expected) => {
    expect(retryAfterMs(ms)).toBe(expected);
  });
});
