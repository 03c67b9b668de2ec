import type { ScalePolicy } from './policy.js';
import { type Decision, reasonFor } from './reason.js';
import { recommend } from './recommend.js';
import type { GroupReport, History, Report } from './report.js';
import { type Sample, stabilise } from './stabilise.js';

export interface Suggestion {
  /** How `to` stands to `from`: above, below, the same. */
  readonly kind: 'up' | 'down' | 'keep';
  readonly group: string;
  /** Instances now. */
  readonly from: number;
  /** Instances that there should be: within the policy's least and most. */
  readonly to: number;
  /** For people. */
  readonly reason: string;
}

/**
 * What to do about each group of the newest report: what its numbers recommend, stabilised over the history, within the least and
 * the most. Nothing for an empty history. `policy` is a valid one, as `scalePolicy` gives it.
 *
 * A down needs a history that reaches back over its whole window: with HISTORY_LIMIT reports, they have to be at least
 * `stabiliseDownMs` / 99 apart.
 */
export function suggest(history: History, policy: ScalePolicy): readonly Suggestion[] {
  const latest = history.at(-1);
  if (latest === undefined) return [];
  return latest.groups.map((report) => suggestFor(report, seriesOf(report.group, history, latest, policy), policy));
}

function suggestFor(report: GroupReport, series: readonly Sample[], policy: ScalePolicy): Suggestion {
  const { group, instances: from } = report;
  const stabilised = stabilise(series, policy);
  const to = Math.min(Math.max(stabilised.instances, policy.minInstances), policy.maxInstances ?? Number.POSITIVE_INFINITY);
  const decision: Decision = { report, recommendation: recommend(report, policy), stabilised, to };
  return { kind: to > from ? 'up' : to < from ? 'down' : 'keep', group, from, to, reason: reasonFor(decision, policy) };
}

function seriesOf(group: string, history: History, latest: Report, policy: ScalePolicy): readonly Sample[] {
  return history.flatMap(({ monotonicMs, groups }) => {
    const report = groups.find((each) => each.group === group);
    if (report === undefined) return [];
    const { instances } = recommend(report, policy);
    return [{ ageMs: latest.monotonicMs - monotonicMs, instances: report.instances, recommended: instances }];
  });
}
