import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.js';
import { eventually } from '../../support/eventually.js';

describe('systemClock', () => {
  it('tells the time of the machine', () => {
    const before = Date.now();
    const now = systemClock.now();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
  });

  it('never steps back in monotonic time', () => {
    const readings = Array.from({ length: 1_000 }, () => systemClock.monotonicMs());
    expect(readings).toEqual([...readings].sort((a, b) => a - b));
  });

  it('calls back once, not before the delay', async () => {
    const startMs = systemClock.monotonicMs();
    const calls: number[] = [];
    systemClock.after(20, () => calls.push(systemClock.monotonicMs() - startMs));
    await eventually(() => expect(calls).toHaveLength(1));
    // Node.js rounds timers to whole milliseconds.
    expect(calls[0]).toBeGreaterThanOrEqual(19);
  });

  it('does not call back what was called off', async () => {
    const calls: string[] = [];
    const cancel = systemClock.after(5, () => calls.push('cancelled'));
    systemClock.after(10, () => calls.push('kept'));
    cancel();
    cancel();
    await eventually(() => expect(calls).toEqual(['kept']));
  });

  it.each([-1, Number.NEGATIVE_INFINITY])('calls back at once for a delay of %d', async (delayMs) => {
    let called = false;
    systemClock.after(delayMs, () => {
      called = true;
    });
    await eventually(() => expect(called).toBe(true));
  });

  it.each([2 ** 31, Number.POSITIVE_INFINITY])(
    'does not call back at once for a delay of %d, which Node.js would',
    async (delayMs) => {
      const calls: string[] = [];
      const cancel = systemClock.after(delayMs, () => calls.push('too early'));
      systemClock.after(10, () => calls.push('in time'));
      await eventually(() => expect(calls).toEqual(['in time']));
      cancel();
    },
  );
});
