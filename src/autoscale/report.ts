/** What of an instance is counted at one moment. */
export interface ObservedInstance {
  /** It counts in each of them, with all of its connections. */
  readonly groups: readonly string[];
  /** Tasks that it has in flight or queued; absent where it did not answer. */
  readonly connections?: number;
}

export interface Observation {
  /** Milliseconds since the epoch, for people. */
  readonly timeMs: number;
  /** The same moment by the monotonic clock, for durations: observations of one history come from one process. */
  readonly monotonicMs: number;
  readonly instances: readonly ObservedInstance[];
}

export interface GroupReport {
  readonly group: string;
  /** All, at least one. */
  readonly instances: number;
  /** Those of them that did not answer. */
  readonly silent: number;
  /** Of those that answered. */
  readonly connections: number;
  /** Connections per instance that answered; absent where none did. */
  readonly average?: number;
}

export interface Report {
  readonly timeMs: number;
  readonly monotonicMs: number;
  /** By name. */
  readonly groups: readonly GroupReport[];
}

/** Reports, the oldest first, at most HISTORY_LIMIT. */
export type History = readonly Report[];

/** The article keeps the last 100. */
export const HISTORY_LIMIT = 100;

/** The report of an observation, and the history with it as the newest; the oldest report makes room. */
export function analyze(observation: Observation, history: History): { readonly report: Report; readonly history: History } {
  const groups = new Map<string, { instances: number; silent: number; connections: number }>();
  for (const instance of observation.instances) {
    for (const group of new Set(instance.groups)) {
      const counts = groups.get(group) ?? { instances: 0, silent: 0, connections: 0 };
      counts.instances += 1;
      if (instance.connections === undefined) counts.silent += 1;
      else counts.connections += instance.connections;
      groups.set(group, counts);
    }
  }
  const report: Report = {
    timeMs: observation.timeMs,
    monotonicMs: observation.monotonicMs,
    groups: [...groups].map(([group, counts]) => ({ group, ...counts, ...average(counts) })).sort(byGroup),
  };
  return { report, history: [...history, report].slice(-HISTORY_LIMIT) };
}

/** How the average of a group was over a history. */
export interface GroupSummary {
  readonly group: string;
  /** Reports that have an average of it, at least 1. */
  readonly reports: number;
  readonly lowest: number;
  readonly mean: number;
  readonly highest: number;
}

/** By group; groups of which no report has an average are left out. */
export function summarise(history: History): readonly GroupSummary[] {
  const averages = new Map<string, number[]>();
  for (const { groups } of history) {
    for (const report of groups) {
      if (report.average === undefined) continue;
      const known = averages.get(report.group);
      if (known === undefined) averages.set(report.group, [report.average]);
      else known.push(report.average);
    }
  }
  return [...averages]
    .map(([group, values]) => ({
      group,
      reports: values.length,
      lowest: Math.min(...values),
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      highest: Math.max(...values),
    }))
    .sort(byGroup);
}

function average({ instances, silent, connections }: Omit<GroupReport, 'group'>) {
  return silent === instances ? {} : { average: connections / (instances - silent) };
}

function byGroup(a: { readonly group: string }, b: { readonly group: string }): number {
  return a.group < b.group ? -1 : 1;
}
