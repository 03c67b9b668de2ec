import { describe, expect, it } from '@jest/globals';
import {
  afterProbe,
  DEFAULT_PROBES,
  type Miss,
  NEVER_PROBED,
  type ProbeOutcome,
  type ProbeState,
  probeIntervalMs,
} from '../../../src/health/probe-state.js';

const NOW_MS = 1_000;
const outcome = (letter: string): ProbeOutcome => {
  const misses: Record<string, Miss> = { x: 'no_answer', r: 'unreachable', n: 'not_serving' };
  const miss = misses[letter];
  return miss === undefined ? { kind: 'passed' } : { kind: 'missed', miss };
};

/** The state after these outcomes: `.` passed, `x` no answer, `r` unreachable, `n` not serving. */
function stateAfter(outcomes: string, from: ProbeState = NEVER_PROBED): ProbeState {
  return [...outcomes].reduce((state, letter) => afterProbe(state, outcome(letter), DEFAULT_PROBES, NOW_MS), from);
}

describe('a node', () => {
  it.each([
    ['', 'unknown'],
    ['x', 'unknown'],
    ['.', 'passing'],
    ['x.', 'passing'],
    ['.x', 'passing'],
    ['.x.x.x', 'passing'],
    ['xx', 'failing'],
    ['.xx', 'failing'],
    ['.xr', 'failing'],
    ['.xx.', 'failing'],
    ['.xx.x.', 'failing'],
    ['.xx..', 'passing'],
    ['.xx..x', 'passing'],
    ['.xx..xx', 'failing'],
  ])('after %j is %s', (outcomes, kind) => {
    expect(stateAfter(outcomes).kind).toBe(kind);
  });

  it.each([
    ['.xx', 'no answer to 2 health checks within 1 s'],
    ['.rr', 'not reached by 2 health checks'],
    ['.nn', 'answered NOT_SERVING to 2 health checks'],
    ['.rx', 'no answer to 2 health checks within 1 s'],
  ])('after %j fails because of: %s', (outcomes, reason) => {
    expect(stateAfter(outcomes)).toEqual({ kind: 'failing', passes: 0, reason, sinceMs: NOW_MS });
  });

  it('keeps why and since when it fails while it goes on to fail', () => {
    const failing: ProbeState = { kind: 'failing', passes: 1, reason: 'no answer', sinceMs: 7 };
    expect(stateAfter('r', failing)).toEqual({ ...failing, passes: 0 });
    expect(stateAfter('rrr', failing)).toEqual({ ...failing, passes: 0 });
  });
});

describe('the interval', () => {
  it.each([
    [0, 1_000],
    [1, 1_000],
    [200, 1_000],
    [400, 2_000],
    [1_000, 5_000],
    [10_000, 50_000],
  ])('with %d nodes is %d ms', (nodes, intervalMs) => {
    expect(probeIntervalMs(nodes, DEFAULT_PROBES)).toBe(intervalMs);
  });
});
