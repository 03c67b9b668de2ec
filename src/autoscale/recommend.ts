import type { ScalePolicy } from './policy.js';
import type { GroupReport } from './report.js';

/** How many instances one report alone speaks for, and how its average stands to the thresholds. */
export interface Recommendation {
  readonly kind: 'above' | 'below' | 'between';
  readonly instances: number;
}

/**
 * The article's rule: above the upper threshold as many instances as bring the average to the target; below the lower one half of them,
 * rounded up.
 *
 * The article says "to average / 50 instances". Read to the letter, 10 instances with 120 connections each would be scaled *up* to 3.
 * What brings the average to 50 is the *total* / 50, here 24; for a single instance the two are the same. So it is the total, and
 * since the threshold is above the target, always more than there are.
 *
 * Half is not always enough: a down leaves at least as many as the target takes, so that it cannot call for an up.
 *
 * Instances that did not answer count as Kubernetes counts pods without metrics (Horizontal Pod Autoscaling, "Algorithm details"): as idle
 * for an up, as being at the target for a down.
 */
export function recommend({ instances, silent, connections }: GroupReport, policy: ScalePolicy): Recommendation {
  const { scaleUpAbove, target, scaleDownBelow } = policy;
  if (connections / instances > scaleUpAbove) return { kind: 'above', instances: Math.ceil(connections / target) };
  const atMost = connections + silent * target;
  if (atMost / instances < scaleDownBelow)
    return { kind: 'below', instances: Math.max(1, Math.ceil(instances / 2), Math.ceil(atMost / target)) };
  return { kind: 'between', instances };
}
