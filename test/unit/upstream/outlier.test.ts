import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_OUTLIER, ejectionMs, mayEject, successRateOutliers } from '../../../src/upstream/outlier.js';

const counted = (successes: number, failures: number) => ({ successes, failures });

describe('success rates', () => {
  it('tell the one of five that fails half of its calls', () => {
    const bad = counted(50, 50);
    const [outlier, ...others] = successRateOutliers([...Array(4).fill(counted(100, 0)), bad], DEFAULT_OUTLIER);
    expect(outlier).toMatchObject({ item: bad, successRate: 0.5 });
    expect(others).toEqual([]);
  });

  it('tell nothing where all fail alike', () => {
    expect(successRateOutliers(Array(8).fill(counted(10, 30)), DEFAULT_OUTLIER)).toEqual([]);
  });

  it('tell nothing of fewer than five, nor of those with few calls', () => {
    expect(successRateOutliers([...Array(3).fill(counted(100, 0)), counted(0, 100)], DEFAULT_OUTLIER)).toEqual([]);
    const few = counted(0, DEFAULT_OUTLIER.requestVolume - 1);
    expect(successRateOutliers([...Array(5).fill(counted(100, 0)), few], DEFAULT_OUTLIER)).toEqual([]);
  });

  it('never set aside more than half of a group, whatever is counted', () => {
    const group = fc.array(fc.record({ successes: fc.nat({ max: 200 }), failures: fc.nat({ max: 200 }) }), { maxLength: 40 });
    fc.assert(
      fc.property(group, (items) => {
        // With 1.9 standard deviations, by Chebyshev: at most 1 / 1.9² of all are so far from the mean.
        expect(successRateOutliers(items, DEFAULT_OUTLIER).length).toBeLessThanOrEqual(items.length / 1.9 ** 2);
      }),
    );
  });
});

describe('an ejection', () => {
  it('takes longer with each, up to a bound', () => {
    expect([1, 2, 3, 100].map((count) => ejectionMs(count, DEFAULT_OUTLIER))).toEqual([10_000, 20_000, 30_000, 300_000]);
  });

  it.each([
    [0, 1, false],
    [0, 2, true],
    [1, 3, false],
    [1, 4, true],
    [2, 4, false],
    [4, 10, true],
    [5, 10, false],
  ])('of one more where %d of %d are ejected: %s', (ejected, total, expected) => {
    expect(mayEject(ejected, total, DEFAULT_OUTLIER)).toBe(expected);
  });
});
