import { describe, expect, it } from '@jest/globals';
import type { ProbeVerdict } from '../../../src/core/instance.js';
import type { ProbeState } from '../../../src/health/probe-state.js';
import { countProbes, isMassFailure, verdictChange } from '../../../src/health/verdict-plan.js';

const SHOWN: ProbeVerdict = { failing: true, reason: 'no answer', sinceMs: 1, registryId: 'r' };
const STATES = {
  unprobed: { kind: 'unknown', misses: 0 },
  doubtful: { kind: 'unknown', misses: 1 },
  passing: { kind: 'passing', misses: 0 },
  wavering: { kind: 'passing', misses: 1 },
  failing: { kind: 'failing', passes: 0, reason: 'no answer', sinceMs: 1 },
  returning: { kind: 'failing', passes: 1, reason: 'no answer', sinceMs: 1 },
} as const satisfies Record<string, ProbeState>;

describe('the verdict of a node that is', () => {
  it.each<[keyof typeof STATES, ProbeVerdict | undefined, ReturnType<typeof verdictChange>]>([
    ['unprobed', undefined, undefined],
    ['unprobed', SHOWN, undefined],
    ['doubtful', SHOWN, undefined],
    ['passing', undefined, undefined],
    ['passing', SHOWN, 'clear'],
    ['wavering', SHOWN, 'clear'],
    ['failing', undefined, 'mark'],
    ['failing', { ...SHOWN, failing: false }, 'mark'],
    ['failing', SHOWN, undefined],
    ['failing', { ...SHOWN, reason: 'another', registryId: 'another' }, undefined],
    ['returning', undefined, 'mark'],
    ['returning', SHOWN, undefined],
  ])('%s, where its record shows %j: %s', (state, shown, change) => {
    expect(verdictChange({ state: STATES[state], shown })).toBe(change);
  });
});

describe('a mass failure', () => {
  it.each<[string, number, number, boolean]>([
    ['of one node that is alone', 1, 1, false],
    ['of both of two', 2, 2, false],
    ['of one of three', 3, 1, false],
    ['of two of three', 3, 2, true],
    ['of half', 4, 2, false],
    ['of more than half', 4, 3, true],
    ['of all', 100, 100, true],
    ['of nobody', 0, 0, false],
  ])('%s: %d probed, %d missing', (_, probed, missing, isMass) => {
    expect(isMassFailure({ probed, missing })).toBe(isMass);
  });

  it('counts who missed its last check, of those that were checked', () => {
    expect(countProbes(Object.values(STATES))).toEqual({ probed: 5, missing: 3 });
  });
});
