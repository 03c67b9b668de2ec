import type { Clock } from '../core/clock.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView, Target, ViewUpdate } from '../discovery/view.js';
import { CircuitBreaker, type CircuitPolicy } from '../resilience/circuit-breaker.js';
import type { Logger } from '../telemetry/logger.js';
import {
  type CircuitInput,
  decideHealth,
  HEALTHY,
  type HealthKind,
  type HealthState,
  isShut,
  isUsable,
  type SetAside,
} from './instance-health.js';
import { DEFAULT_OUTLIER, ejectionMs, mayEject, type OutlierPolicy, successRateOutliers } from './outlier.js';

/** An instance as this router sees it. Times are milliseconds since the epoch. */
export interface HealthView {
  readonly service: string;
  readonly id: string;
  readonly nodeId: string;
  readonly kind: HealthKind;
  readonly reason: string;
  readonly sinceMs: number;
  /** When the router looks again; undefined where nothing is timed. */
  readonly untilMs: number | undefined;
}

export interface HealthTransition {
  readonly instance: HealthView;
  /** Undefined for one that is new to the router. */
  readonly from: HealthKind | undefined;
}

/** What a call told of the agent and of its node. */
export type Verdict =
  | { readonly kind: 'succeeded' }
  /** The agent failed; its node is well. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The node could not be reached, or was lost. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** The node answered: it is well, and nothing is known of the agent (yet). */
  | { readonly kind: 'reached' }
  /** The node refused because the agent's circuit is open there. */
  | { readonly kind: 'circuit_open'; readonly reason: string; readonly retryAfterMs: number }
  /** Nothing: the caller went away, or gave too little time. */
  | { readonly kind: 'abandoned' };

export interface HealthTableDeps {
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A node that cannot be reached is soon left alone, and soon tried again: a try that fails costs one reroute, a node that is back
 * and not used costs capacity. Healed partitions shall be used again within a second or so.
 */
export const NODE_CIRCUIT: CircuitPolicy = { failures: 5, openMs: 500, maxOpenMs: 5_000, probes: 1 };
/** A node that says "open" without saying for how long, since probes are under way. */
const LEAST_PAUSE_MS = 100;

interface Watched {
  instance: Instance;
  state: HealthState;
  sinceMs: number;
  cancelTimer: (() => void) | undefined;
}

interface NodeRecord extends Watched {
  readonly kind: 'node';
  readonly breaker: CircuitBreaker;
}

interface AgentRecord extends Watched {
  readonly kind: 'agent';
  readonly target: Target;
  successes: number;
  failures: number;
  /** Failures since the last success. */
  inARow: number;
  /** How often it was ejected lately: grows with each ejection, falls with each interval without one. */
  ejections: number;
  ejection: SetAside | undefined;
  /** When its last ejection ended. */
  backSinceMs: number;
  circuit: (SetAside & { readonly kind: 'open' }) | undefined;
}

type Record = NodeRecord | AgentRecord;

/**
 * What this router makes of every node and agent: takes in leases, statuses and probes from the view, and outcomes from calls; puts out
 * one state each, and every transition with its reason.
 */
export class HealthTable {
  private readonly nodes = new Map<string, NodeRecord>();
  /** Of agents that were called, or are not simply UP. All others are healthy. */
  private readonly agents = new Map<string, AgentRecord>();
  /** What is not usable, by node id and by agent key: mostly nothing. */
  private readonly badNodes = new Map<string, HealthKind>();
  private readonly badAgents = new Map<string, HealthKind>();
  /** How many agents of a capability are ejected. */
  private readonly ejectedOf = new Map<string, number>();
  /** Those that were called in this interval. */
  private readonly touched = new Set<AgentRecord>();
  private readonly listeners = new Set<(transition: HealthTransition) => void>();
  private sweptAtMs: number;
  private changes = 0;
  private readonly stopListening: () => void;

  constructor(
    private readonly deps: HealthTableDeps,
    private readonly policy: OutlierPolicy = DEFAULT_OUTLIER,
  ) {
    this.sweptAtMs = deps.clock.monotonicMs();
    this.stopListening = deps.view.onChange((update) => this.take(update));
    for (const { instance } of deps.view.catalog.ofService(NODE_SERVICE)) this.putNode(instance, false);
  }

  close(): void {
    this.stopListening();
    for (const record of [...this.nodes.values(), ...this.agents.values()]) record.cancelTimer?.();
  }

  /** Grows whenever an instance becomes usable, or no longer is. */
  get revision(): number {
    return this.changes;
  }

  /** Whether everybody is usable: then nobody needs to be asked about. */
  get allWell(): boolean {
    return this.badNodes.size === 0 && this.badAgents.size === 0;
  }

  isUsable(target: Target): boolean {
    return !this.badAgents.has(target.key) && !this.badNodes.has(target.instance.nodeId);
  }

  /** Whether a call is certain to be refused. */
  isShut(target: Target): boolean {
    const agent = this.badAgents.get(target.key);
    const node = this.badNodes.get(target.instance.nodeId);
    return (agent !== undefined && isShut(agent)) || (node !== undefined && isShut(node));
  }

  /** Why a target gets no calls, and for how long at least; undefined where it does. */
  whyNot(
    target: Target,
  ): { readonly kind: HealthKind; readonly reason: string; readonly retryInMs: number | undefined } | undefined {
    for (const record of [this.agents.get(target.key), this.nodes.get(target.instance.nodeId)]) {
      if (record === undefined || isUsable(record.state.kind)) continue;
      return { kind: record.state.kind, reason: reasonOf(record.state), retryInMs: this.remainingMs(record.state) };
    }
    return undefined;
  }

  /** Asks for a call to be let through; each that is ends with one `end`. False where a circuit on the way is open. */
  begin(target: Target): boolean {
    return this.nodes.get(target.instance.nodeId)?.breaker.tryAcquire() ?? true;
  }

  /** Of the circuit on the way: tells calls that were let through before it opened from those after. */
  eraOf(target: Target): number {
    return this.nodes.get(target.instance.nodeId)?.breaker.era ?? 0;
  }

  /** Accounts what a call told that was let through in `era`. */
  end(target: Target, verdict: Verdict, era = this.eraOf(target)): void {
    const breaker = this.nodes.get(target.instance.nodeId)?.breaker;
    switch (verdict.kind) {
      case 'succeeded':
        breaker?.succeeded(era);
        this.agentSucceeded(target);
        return;
      case 'failed':
        breaker?.succeeded(era);
        this.agentFailed(target, verdict.reason);
        return;
      case 'unreachable':
        breaker?.failed(verdict.reason, era);
        return;
      case 'reached':
        breaker?.succeeded(era);
        return;
      case 'circuit_open':
        breaker?.succeeded(era);
        this.agentRefuses(target, verdict);
        return;
      case 'abandoned':
        breaker?.released(era);
        return;
    }
  }

  /** Circuit breakers towards nodes, by node id. */
  *circuits(): IterableIterator<readonly [string, CircuitBreaker]> {
    for (const [id, { breaker }] of this.nodes) yield [id, breaker];
  }

  /** All that are not healthy. */
  *unhealthy(): IterableIterator<HealthView> {
    for (const records of [this.nodes, this.agents])
      for (const record of records.values()) if (record.state.kind !== 'healthy') yield this.viewOf(record);
  }

  /** Calls back with every transition. Returns how to call that off. */
  onTransition(listener: (transition: HealthTransition) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private take({ removed, put, added }: ViewUpdate): void {
    for (const instance of removed) {
      if (instance.service === NODE_SERVICE) this.remove(this.nodes, instance.id, this.badNodes, instance);
      else if (instance.service === AGENT_SERVICE)
        this.remove(this.agents, `${instance.service}/${instance.id}`, this.badAgents, instance);
    }
    for (const target of put) {
      if (target.instance.service === NODE_SERVICE) this.putNode(target.instance, added.has(target));
      else if (target.instance.service === AGENT_SERVICE) this.putAgent(target, added.has(target));
    }
  }

  private putNode(instance: Instance, isNew: boolean): void {
    let record = this.nodes.get(instance.id);
    if (record?.instance.incarnation !== instance.incarnation) {
      const state = record?.state ?? HEALTHY;
      record?.cancelTimer?.();
      // The breaker tells of its changes by its record, which it is a part of.
      const fresh: NodeRecord = {
        ...this.watched(instance),
        kind: 'node',
        state,
        breaker: this.newBreaker(() => this.refresh(fresh)),
      };
      record = fresh;
      this.nodes.set(instance.id, record);
    }
    record.instance = instance;
    this.refresh(record, isNew);
  }

  private putAgent(target: Target, isNew: boolean): void {
    const { instance } = target;
    const known = this.agents.get(target.key);
    if (known === undefined && instance.status === 'up') {
      if (isNew) this.tell(this.watched(instance), undefined);
      return;
    }
    let record = known;
    if (record?.instance.incarnation !== instance.incarnation) {
      if (record !== undefined) this.forget(record);
      record = this.newAgent(target, known?.state ?? HEALTHY);
    }
    record.instance = instance;
    this.refresh(record, isNew);
  }

  private remove(records: Map<string, Record>, key: string, bad: Map<string, HealthKind>, instance: Instance): void {
    const record = records.get(key);
    records.delete(key);
    if (bad.delete(key)) this.changes += 1;
    if (record !== undefined) this.forget(record);
    const last = record ?? { ...this.watched(instance), state: HEALTHY };
    const gone = { ...last, sinceMs: this.deps.clock.now(), state: decideHealth({ ...inputsOf(last), present: false }, 0) };
    this.tell(gone, last.state.kind);
  }

  private forget(record: Record): void {
    record.cancelTimer?.();
    if (record.kind === 'node') return;
    this.touched.delete(record);
    if (record.ejection !== undefined) this.countEjected(record, -1);
  }

  private agentOf(target: Target): AgentRecord {
    const record = this.agents.get(target.key);
    if (record !== undefined && record.instance.incarnation === target.instance.incarnation) return record;
    return this.newAgent(target, HEALTHY);
  }

  private newAgent(target: Target, state: HealthState): AgentRecord {
    // Written out: V8 gives an object that begins with a spread several times the memory, and there is one for each agent called.
    const record: AgentRecord = {
      instance: target.instance,
      state,
      sinceMs: this.deps.clock.now(),
      cancelTimer: undefined,
      kind: 'agent',
      target,
      successes: 0,
      failures: 0,
      inARow: 0,
      ejections: 0,
      ejection: undefined,
      backSinceMs: Number.NEGATIVE_INFINITY,
      circuit: undefined,
    };
    // A call that ends after its agent has gone must not bring it back.
    if (this.deps.view.catalog.get(target.instance) !== undefined) this.agents.set(target.key, record);
    return record;
  }

  private watched(instance: Instance): Watched {
    return { instance, state: HEALTHY, sinceMs: this.deps.clock.now(), cancelTimer: undefined };
  }

  private newBreaker(onChange: () => void): CircuitBreaker {
    return new CircuitBreaker(NODE_CIRCUIT, this.deps.clock, onChange);
  }

  private agentSucceeded(target: Target): void {
    const record = this.agentOf(target);
    record.successes += 1;
    record.inARow = 0;
    if (record.circuit !== undefined) {
      record.circuit = undefined;
      this.refresh(record);
    }
    this.touch(record);
  }

  private agentFailed(target: Target, reason: string): void {
    const record = this.agentOf(target);
    record.failures += 1;
    record.inARow += 1;
    if (record.inARow >= this.policy.consecutiveFailures)
      this.eject(record, `${record.inARow} failures in a row, the last: ${reason}`);
    this.touch(record);
  }

  private agentRefuses(target: Target, { reason, retryAfterMs }: Verdict & { readonly kind: 'circuit_open' }): void {
    const record = this.agentOf(target);
    const untilMs = this.deps.clock.monotonicMs() + Math.max(LEAST_PAUSE_MS, retryAfterMs);
    record.circuit = { kind: 'open', untilMs, reason };
    this.refresh(record);
  }

  private touch(record: AgentRecord): void {
    if (record.successes + record.failures === 1) this.touched.add(record);
    if (this.deps.clock.monotonicMs() - this.sweptAtMs >= this.policy.intervalMs) this.sweep();
  }

  /** Compares the success rates of agents that offer the same. */
  private sweep(): void {
    const nowMs = this.deps.clock.monotonicMs();
    this.sweptAtMs = nowMs;
    const groups = new Map<string, AgentRecord[]>();
    for (const record of this.touched) {
      // Too few to be compared: those who have many agents have few calls of each, and need no groups.
      if (record.successes + record.failures < this.policy.requestVolume) continue;
      const like = record.instance.capabilities.join(' ');
      const group = groups.get(like);
      if (group === undefined) groups.set(like, [record]);
      else group.push(record);
    }
    for (const group of groups.values()) {
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

  private eject(record: AgentRecord, reason: string): void {
    if (record.ejection !== undefined || !this.hasRoomFor(record)) return;
    record.ejections += 1;
    record.inARow = 0;
    record.ejection = { reason, untilMs: this.deps.clock.monotonicMs() + ejectionMs(record.ejections, this.policy) };
    this.countEjected(record, 1);
    this.refresh(record);
  }

  /** Whether, of each capability that it offers, not too many are ejected already. */
  private hasRoomFor({ instance }: AgentRecord): boolean {
    const { catalog } = this.deps.view;
    return instance.capabilities.every((name) =>
      mayEject(this.ejectedOf.get(name) ?? 0, catalog.withCapability(name).length, this.policy),
    );
  }

  private countEjected({ instance }: AgentRecord, step: number): void {
    for (const name of instance.capabilities) {
      const count = (this.ejectedOf.get(name) ?? 0) + step;
      if (count > 0) this.ejectedOf.set(name, count);
      else this.ejectedOf.delete(name);
    }
  }

  /** Decides anew, and tells of it where that changed something. */
  private refresh(record: Record, isNew = false): void {
    const { clock } = this.deps;
    const nowMs = clock.monotonicMs();
    if (record.kind === 'agent' && record.ejection !== undefined && record.ejection.untilMs <= nowMs) {
      record.ejection = undefined;
      record.backSinceMs = nowMs;
      this.countEjected(record, -1);
    }
    const before = record.state;
    record.state = decideHealth(inputsOf(record), nowMs);
    this.watchTime(record);
    const isChanged = before.kind !== record.state.kind;
    if (isChanged) {
      record.sinceMs = clock.now();
      this.index(record);
    }
    if (isChanged || isNew) this.tell(record, isNew ? undefined : before.kind);
  }

  private index(record: Record): void {
    const [bad, key] =
      record.kind === 'node' ? ([this.badNodes, record.instance.id] as const) : ([this.badAgents, record.target.key] as const);
    const { kind } = record.state;
    if (isUsable(kind)) bad.delete(key);
    else bad.set(key, kind);
    this.changes += 1;
  }

  private watchTime(record: Record): void {
    record.cancelTimer?.();
    const inMs = this.remainingMs(record.state);
    record.cancelTimer = inMs === undefined ? undefined : this.deps.clock.after(Math.ceil(inMs), () => this.refresh(record));
  }

  private remainingMs(state: HealthState): number | undefined {
    return 'untilMs' in state ? Math.max(0, state.untilMs - this.deps.clock.monotonicMs()) : undefined;
  }

  private tell(record: Watched, from: HealthKind | undefined): void {
    if (this.listeners.size === 0 && isUsable(record.state.kind)) return;
    const instance = this.viewOf(record);
    const { service, id, kind, reason } = instance;
    const event = { service, instance: id, from, to: kind, reason };
    if (kind === 'suspect' || kind === 'ejected' || kind === 'circuit_open') this.deps.logger.warn('health changed', event);
    else this.deps.logger.debug('health changed', event);
    for (const listener of this.listeners) listener({ instance, from });
  }

  private viewOf({ instance, state, sinceMs }: Watched): HealthView {
    const { service, id, nodeId } = instance;
    const remainingMs = this.remainingMs(state);
    const untilMs = remainingMs === undefined ? undefined : this.deps.clock.now() + remainingMs;
    return { service, id, nodeId, kind: state.kind, reason: reasonOf(state), sinceMs, untilMs };
  }
}

function inputsOf(record: Watched | Record) {
  const { status, probe } = record.instance;
  const agent = 'ejection' in record ? record : undefined;
  const circuit = 'breaker' in record ? circuitInput(record.breaker) : agent?.circuit;
  return { present: true, status, probe, ejection: agent?.ejection, circuit };
}

function circuitInput(breaker: CircuitBreaker): CircuitInput | undefined {
  const { state, lastFailure } = breaker;
  switch (state.kind) {
    case 'closed':
      return undefined;
    case 'open':
      return {
        kind: 'open',
        untilMs: state.retryAtMs,
        reason: `${breaker.consecutiveFailures} calls in a row did not reach it: ${lastFailure}`,
      };
    case 'half_open':
      return { kind: 'half_open', reason: `tried again after: ${lastFailure}` };
  }
}

function reasonOf(state: HealthState): string {
  return 'reason' in state ? state.reason : '';
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
