import type { ScalePolicy } from './policy.js';

/** What a report had of a group, and what it spoke for. */
export interface Sample {
  readonly ageMs: number;
  readonly instances: number;
  readonly recommended: number;
}

/** Bounds of a recommendation, and what they rest on. */
export interface Stabilised {
  readonly instances: number;
  /** How long the group is known. */
  readonly knownMs: number;
  /** What the window of a down asked for at most. */
  readonly needed: number;
}

/**
 * As many as there are, unless the whole window of ups asked for more or the whole window of downs for fewer: the lowest of what was
 * recommended in the one, the highest in the other. Kubernetes does so (HorizontalPodAutoscaler, "Stabilization window"); as it does,
 * a group that is not known for a whole window counts with the instances that it was first seen with, so that a fresh start is no
 * reason to take some away.
 *
 * `series` is oldest first, and ends with the report of now; it is not empty.
 */
export function stabilise(series: readonly Sample[], policy: Pick<ScalePolicy, 'stabiliseUpMs' | 'stabiliseDownMs'>): Stabilised {
  const enough = Math.min(...wanted(series, policy.stabiliseUpMs));
  const needed = Math.max(...wanted(series, policy.stabiliseDownMs));
  const current = series.at(-1)?.instances ?? 0;
  return { instances: Math.min(Math.max(current, enough), needed), knownMs: series[0]?.ageMs ?? 0, needed };
}

/** What was recommended in a window. It reaches back to the report that held at its start, so the last one that is as old or older. */
function wanted(series: readonly Sample[], windowMs: number): readonly number[] {
  const start = series.findLastIndex(({ ageMs }) => ageMs >= windowMs);
  const recommended = series.slice(Math.max(start, 0)).map((sample) => sample.recommended);
  return start === -1 ? [...series.slice(0, 1).map(({ instances }) => instances), ...recommended] : recommended;
}
