import { assertNever } from '../core/assert-never.js';
import type { ScalePolicy } from './policy.js';
import type { Recommendation } from './recommend.js';
import type { GroupReport } from './report.js';
import type { Stabilised } from './stabilise.js';

/** How a suggestion came about. */
export interface Decision {
  readonly report: GroupReport;
  readonly recommendation: Recommendation;
  readonly stabilised: Stabilised;
  /** Within the policy's least and most. */
  readonly to: number;
}

/** Why a group is to have as many instances as the decision says: one line for people. */
export function reasonFor(decision: Decision, policy: ScalePolicy): string {
  const { report, to } = decision;
  // What the load asks for does not matter where there are too many or too few in any case.
  if (report.instances > to && to === policy.maxInstances) return `at most ${count(to)} allowed`;
  if (report.instances < to && to === policy.minInstances && decision.stabilised.instances < to)
    return `at least ${count(to)} wanted`;
  return loadReason(decision, policy) + silence(report);
}

function loadReason(decision: Decision, policy: ScalePolicy): string {
  const { report, recommendation } = decision;
  switch (recommendation.kind) {
    case 'above':
      return `${exceeds(report.average, policy)}${afterAbove(decision, policy)}`;
    case 'below':
      return `${isBelow(report.average, policy)}${afterBelow(decision, policy)}`;
    case 'between':
      return between(report, policy);
    default:
      return assertNever(recommendation.kind);
  }
}

function afterAbove({ report, recommendation, stabilised, to }: Decision, policy: ScalePolicy): string {
  const ideal = `, ${count(recommendation.instances)} needed for ${policy.target} each`;
  if (to < stabilised.instances) return `${ideal}, but at most ${to} allowed`;
  if (stabilised.instances < recommendation.instances)
    return `${ideal}, but ${stabilised.instances > report.instances ? 'not all of them' : 'not'} for ${seconds(policy.stabiliseUpMs)} yet`;
  return ideal;
}

function afterBelow({ report, recommendation, stabilised, to }: Decision, policy: ScalePolicy): string {
  if (recommendation.instances === report.instances)
    return report.instances === 1 ? ', but there is only one' : `, but fewer would have more than ${policy.target} each`;
  if (to > stabilised.instances) return `, but at least ${count(to)} wanted`;
  if (stabilised.instances === recommendation.instances) return '';
  return stabilised.knownMs < policy.stabiliseDownMs
    ? `, but known for ${seconds(stabilised.knownMs)} of ${seconds(policy.stabiliseDownMs)} only`
    : `, but ${stabilised.needed} ${stabilised.needed === 1 ? 'was' : 'were'} needed within the last ${seconds(policy.stabiliseDownMs)}`;
}

function between({ average }: GroupReport, policy: ScalePolicy): string {
  if (average === undefined) return 'nothing known';
  if (average > policy.scaleUpAbove) return `${exceeds(average, policy)}, but not certainly`;
  if (average < policy.scaleDownBelow) return `${isBelow(average, policy)}, but not certainly`;
  return `average ${Math.round(average * 10) / 10} is from ${policy.scaleDownBelow} to ${policy.scaleUpAbove}`;
}

// Rounded away from the threshold: "100 exceeds 100" would be odd.

function exceeds(average: number | undefined, { scaleUpAbove }: ScalePolicy): string {
  return `average ${Math.ceil((average ?? 0) * 10) / 10} exceeds ${scaleUpAbove}`;
}

function isBelow(average: number | undefined, { scaleDownBelow }: ScalePolicy): string {
  return `average ${Math.floor((average ?? 0) * 10) / 10} is below ${scaleDownBelow}`;
}

function silence({ silent }: GroupReport): string {
  return silent === 0 ? '' : `; ${silent} did not answer`;
}

function count(instances: number): string {
  return `${instances} ${instances === 1 ? 'is' : 'are'}`;
}

function seconds(ms: number): string {
  return `${Math.floor(ms / 100) / 10} s`;
}
