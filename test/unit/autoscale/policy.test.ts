import { describe, expect, test } from '@jest/globals';
import { type ScalePolicy, scalePolicy } from '../../../src/autoscale/policy.js';
import { TroupeError } from '../../../src/core/errors.js';

function refusal(changes: Partial<ScalePolicy>): unknown {
  try {
    return scalePolicy(changes);
  } catch (error) {
    return error;
  }
}

describe('a scale policy', () => {
  test('has the thresholds of the article and the windows of Kubernetes unless told otherwise', () => {
    expect(scalePolicy()).toEqual({
      scaleUpAbove: 100,
      target: 50,
      scaleDownBelow: 10,
      minInstances: 1,
      stabiliseUpMs: 0,
      stabiliseDownMs: 300_000,
    });
  });

  test.each<Partial<ScalePolicy>>([
    { scaleDownBelow: 0 },
    { scaleUpAbove: 2.5, target: 2, scaleDownBelow: 0.5 },
    { minInstances: 3, maxInstances: 3 },
    { stabiliseUpMs: 3_600_000, stabiliseDownMs: 0 },
  ])('may be %j', (changes) => {
    expect(scalePolicy(changes)).toMatchObject(changes);
  });

  test.each<[Partial<ScalePolicy>, string, string]>([
    [{ target: 0 }, 'target', 'must be a number above 0'],
    [{ target: Number.NaN }, 'target', 'must be a number above 0'],
    [{ scaleUpAbove: 50 }, 'scaleUpAbove', 'must be a number above the target, which is 50'],
    [{ scaleUpAbove: Number.POSITIVE_INFINITY }, 'scaleUpAbove', 'must be a number above the target, which is 50'],
    [{ target: 100 }, 'scaleUpAbove', 'must be a number above the target, which is 100'],
    [{ scaleDownBelow: 50 }, 'scaleDownBelow', 'must be a number from 0 to below the target, which is 50'],
    [{ scaleDownBelow: -1 }, 'scaleDownBelow', 'must be a number from 0 to below the target, which is 50'],
    [{ scaleDownBelow: Number.NaN }, 'scaleDownBelow', 'must be a number from 0 to below the target, which is 50'],
    [{ target: 10 }, 'scaleDownBelow', 'must be a number from 0 to below the target, which is 10'],
    [{ minInstances: 0 }, 'minInstances', 'must be a whole number of at least 1'],
    [{ minInstances: 1.5 }, 'minInstances', 'must be a whole number of at least 1'],
    [{ minInstances: 4, maxInstances: 3 }, 'maxInstances', 'must be a whole number of at least 4'],
    [{ maxInstances: Number.NaN }, 'maxInstances', 'must be a whole number of at least 1'],
    [{ stabiliseUpMs: -1 }, 'stabiliseUpMs', 'must be from 0 to 3600000 ms'],
    [{ stabiliseDownMs: 3_600_001 }, 'stabiliseDownMs', 'must be from 0 to 3600000 ms'],
  ])('is refused as %p', (changes, field, description) => {
    const error = refusal(changes);
    expect(error).toBeInstanceOf(TroupeError);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', violations: [{ field, description }] });
  });

  test('is refused for all that is wrong at once', () => {
    expect(refusal({ scaleUpAbove: 5, minInstances: 0 })).toMatchObject({
      violations: [{ field: 'scaleUpAbove' }, { field: 'minInstances' }],
    });
    // The one threshold above the other leaves no place for a target between them.
    expect(refusal({ scaleUpAbove: 10, scaleDownBelow: 100 })).toMatchObject({
      violations: [{ field: 'scaleUpAbove' }, { field: 'scaleDownBelow' }],
    });
  });
});
