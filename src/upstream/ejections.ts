import type { Clock } from '../core/clock.js';
import type { ClusterView } from '../discovery/view.js';
import type { AgentRecord } from './health-records.js';
import { ejectionMs, mayEject, type OutlierPolicy, successRateOutliers } from './outlier.js';

export interface EjectionsDeps {
  readonly view: ClusterView;
  readonly clock: Clock;
  /** An agent was ejected just now. */
  readonly onEject: (record: AgentRecord) => void;
}

/** Counts how the calls of agents end, and sets aside the outliers among them. */
export class Ejections {
  /** How many agents of a capability are ejected. */
  private readonly ejectedOf = new Map<string, number>();
  /** Those that were called in this interval. */
  private readonly touched = new Set<AgentRecord>();
  private comparedAtMs: number;

  constructor(
    private readonly deps: EjectionsDeps,
    private readonly policy: OutlierPolicy,
  ) {
    this.comparedAtMs = deps.clock.monotonicMs();
  }

  succeeded(record: AgentRecord): void {
    record.successes += 1;
    record.inARow = 0;
    this.touch(record);
  }

  failed(record: AgentRecord, reason: string): void {
    record.failures += 1;
    record.inARow += 1;
    if (record.inARow >= this.policy.consecutiveFailures)
      this.eject(record, `${record.inARow} failures in a row, the last: ${reason}`);
    this.touch(record);
  }

  /** Takes back an ejection whose time has passed. */
  expire(record: AgentRecord, nowMs: number): void {
    if (record.ejection === undefined || record.ejection.untilMs > nowMs) return;
    this.release(record);
    record.backSinceMs = nowMs;
  }

  /** The agent has gone. */
  forget(record: AgentRecord): void {
    this.touched.delete(record);
    this.release(record);
  }

  private touch(record: AgentRecord): void {
    if (record.successes + record.failures === 1) this.touched.add(record);
    if (this.deps.clock.monotonicMs() - this.comparedAtMs >= this.policy.intervalMs) this.compare();
  }

  /** Compares the success rates of agents that offer the same. With the next call after an interval, so no timer goes without traffic. */
  private compare(): void {
    const nowMs = this.deps.clock.monotonicMs();
    this.comparedAtMs = nowMs;
    for (const group of this.alike()) {
      for (const { item, successRate, threshold } of successRateOutliers(group, this.policy))
        this.eject(item, `${percent(successRate)} of its calls succeed, where those like it have at least ${percent(threshold)}`);
    }
    for (const record of this.touched) {
      record.successes = 0;
      record.failures = 0;
      const isBack = record.ejection === undefined && nowMs - record.backSinceMs >= this.policy.intervalMs;
      if (isBack && record.ejections > 0) record.ejections -= 1;
    }
    this.touched.clear();
  }

  private alike(): Iterable<readonly AgentRecord[]> {
    const groups = new Map<string, AgentRecord[]>();
    for (const record of this.touched) {
      // Too few to be compared: those who have many agents have few calls of each, and need no groups.
      if (record.successes + record.failures < this.policy.requestVolume) continue;
      const like = record.instance.capabilities.join(' ');
      const group = groups.get(like);
      if (group === undefined) groups.set(like, [record]);
      else group.push(record);
    }
    return groups.values();
  }

  private eject(record: AgentRecord, reason: string): void {
    const { capabilities } = record.instance;
    if (record.ejection !== undefined || !this.hasRoom(capabilities)) return;
    record.ejections += 1;
    record.inARow = 0;
    const untilMs = this.deps.clock.monotonicMs() + ejectionMs(record.ejections, this.policy);
    record.ejection = { reason, untilMs, capabilities };
    this.count(capabilities, 1);
    this.deps.onEject(record);
  }

  private release(record: AgentRecord): void {
    if (record.ejection === undefined) return;
    this.count(record.ejection.capabilities, -1);
    record.ejection = undefined;
  }

  /** Whether, of each of these, not too many agents are ejected already. */
  private hasRoom(capabilities: readonly string[]): boolean {
    const { catalog } = this.deps.view;
    return capabilities.every((name) =>
      mayEject(this.ejectedOf.get(name) ?? 0, catalog.withCapability(name).length, this.policy),
    );
  }

  private count(capabilities: readonly string[], step: number): void {
    for (const name of capabilities) {
      const count = (this.ejectedOf.get(name) ?? 0) + step;
      if (count > 0) this.ejectedOf.set(name, count);
      else this.ejectedOf.delete(name);
    }
  }
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
