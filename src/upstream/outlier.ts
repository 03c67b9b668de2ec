/**
 * Outlier detection, after gRFC A50 and Envoy: sets aside the instance whose calls fail while those of its like do not. Pure: what is
 * counted goes in, who is ejected and for how long comes out.
 */
export interface OutlierPolicy {
  /** Failures in a row that eject at once; Envoy's `consecutive_5xx`. */
  readonly consecutiveFailures: number;
  /** How often success rates are compared. A50 has 10 s; agents that fail should cost less. */
  readonly intervalMs: number;
  /** Of the first ejection; the nth takes n times as long, as in A50 (30 s there). */
  readonly baseEjectionMs: number;
  /** Of every ejection: A50's `max_ejection_time`. */
  readonly maxEjectionMs: number;
  /** Of the instances that offer a capability, at most this share is set aside at once. A50 has a tenth, made for hundreds of backends. */
  readonly maxEjectedShare: number;
  /** Ejected is whose success rate is so many standard deviations below the mean: A50's `stdev_factor` of 1900. */
  readonly stdevFactor: number;
  /** Instances that must have enough calls for a comparison: A50. */
  readonly minimumHosts: number;
  /** Calls in an interval that are enough. A50 has 100; agents get fewer calls than web servers. */
  readonly requestVolume: number;
}

export const DEFAULT_OUTLIER: OutlierPolicy = {
  consecutiveFailures: 5,
  intervalMs: 5_000,
  baseEjectionMs: 10_000,
  maxEjectionMs: 300_000,
  maxEjectedShare: 0.5,
  stdevFactor: 1.9,
  minimumHosts: 5,
  requestVolume: 20,
};

/** What was counted of one instance in an interval. */
export interface Counted {
  readonly successes: number;
  readonly failures: number;
}

/** How long the `count`th ejection in a row takes, from 1. */
export function ejectionMs(count: number, { baseEjectionMs, maxEjectionMs }: OutlierPolicy): number {
  return Math.min(maxEjectionMs, baseEjectionMs * count);
}

/** Whether one more of `total` may be set aside where `ejected` are already. */
export function mayEject(ejected: number, total: number, { maxEjectedShare }: OutlierPolicy): boolean {
  return ejected + 1 <= total * maxEjectedShare;
}

export interface Outlier<T> {
  readonly item: T;
  /** 0 to 1. */
  readonly successRate: number;
  /** Below this one is an outlier. */
  readonly threshold: number;
}

/** Those of instances of the same kind whose success rate is an outlier (A50's success-rate algorithm), the worst first. */
export function successRateOutliers<T extends Counted>(group: readonly T[], policy: OutlierPolicy): readonly Outlier<T>[] {
  const rated = group.flatMap((item) => {
    const calls = item.successes + item.failures;
    return calls >= policy.requestVolume ? [{ item, successRate: item.successes / calls }] : [];
  });
  if (rated.length < policy.minimumHosts) return [];
  const mean = rated.reduce((sum, { successRate }) => sum + successRate, 0) / rated.length;
  const variance = rated.reduce((sum, { successRate }) => sum + (successRate - mean) ** 2, 0) / rated.length;
  const threshold = mean - policy.stdevFactor * Math.sqrt(variance);
  return rated
    .filter(({ successRate }) => successRate < threshold)
    .map((each) => ({ ...each, threshold }))
    .sort((a, b) => a.successRate - b.successRate);
}
