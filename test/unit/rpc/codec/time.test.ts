import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { durationFromMs, msFromDuration } from '../../../../src/rpc/codec/time.js';

describe('durations', () => {
  it.each([
    [0, { seconds: 0n, nanos: 0 }],
    [1, { seconds: 0n, nanos: 1_000_000 }],
    [1_500.25, { seconds: 1n, nanos: 500_250_000 }],
    [-1_500, { seconds: -1n, nanos: -500_000_000 }],
    [999.9999999, { seconds: 1n, nanos: 0 }],
    [-1_999.9999999, { seconds: -2n, nanos: 0 }],
  ])('%d ms are %o', (ms, duration) => {
    expect(durationFromMs(ms)).toEqual(duration);
  });

  it('are valid, and the same milliseconds on the way back', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e12, max: 1e12, noNaN: true }), (ms) => {
        const duration = durationFromMs(ms);
        expect(Math.abs(duration.nanos)).toBeLessThan(1e9);
        expect(Math.sign(duration.nanos) * Math.sign(Number(duration.seconds))).toBeGreaterThanOrEqual(0);
        expect(Math.abs(msFromDuration(duration) - ms)).toBeLessThan(1e-3);
      }),
    );
  });
});
