import { describe, expect, it } from '@jest/globals';
import { fenceMarginMs } from '../../../src/core/fence.js';

describe('fenceMarginMs', () => {
  it.each([
    [2_000, 500],
    [10_000, 1_000],
    [600_000, 60_000],
  ])('of %d ms is %d ms', (ttlMs, marginMs) => {
    expect(fenceMarginMs(ttlMs)).toBe(marginMs);
  });
});
