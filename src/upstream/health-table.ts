import type { Clock } from '../core/clock.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView, Target, ViewUpdate } from '../discovery/view.js';
import { CircuitBreaker, type CircuitPolicy, type CircuitState } from '../resilience/circuit-breaker.js';
import type { Logger } from '../telemetry/logger.js';
import { Ejections } from './ejections.js';
import {
  type AgentRecord,
  agentRecord,
  type HealthRecord,
  inputsOf,
  type NodeRecord,
  reasonOf,
  type Watched,
  watched,
} from './health-records.js';
import { decideHealth, HEALTHY, type HealthKind, type HealthState, isShut, isUsable } from './instance-health.js';
import { DEFAULT_OUTLIER, type OutlierPolicy } from './outlier.js';
import type { Verdict } from './verdict.js';

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
/** Whatever a node says. */
const MAX_PAUSE_MS = 300_000;
/** So that calls to an earlier life of a node are none of its present circuit's. */
const ERAS_OF_A_LIFE = 1_000_000;

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
  private readonly ejections: Ejections;
  private readonly listeners = new Set<(transition: HealthTransition) => void>();
  /** How often instances turned to each state, and circuits of nodes to each of theirs. */
  readonly transitions = { health: new Map<HealthKind, number>(), circuits: new Map<string, number>([['open', 0]]) };
  private changes = 0;
  private eras = 0;
  private readonly stopListening: () => void;

  constructor(
    private readonly deps: HealthTableDeps,
    outlier: OutlierPolicy = DEFAULT_OUTLIER,
  ) {
    this.ejections = new Ejections({ ...deps, onEject: (record) => this.refresh(record) }, outlier);
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
    if (verdict.kind === 'unreachable') breaker?.failed(verdict.reason, era);
    else if (verdict.kind === 'abandoned' || (verdict.kind === 'failed' && verdict.isSilent)) breaker?.released(era);
    else breaker?.succeeded(era);
    this.judgeAgent(target, verdict);
  }

  /** Accounts what a call told of its agent, where the way there was accounted before. */
  judgeAgent(target: Target, verdict: Verdict): void {
    const record = this.agentOf(target);
    if (record === undefined) return;
    if (verdict.kind === 'succeeded') this.agentSucceeded(record);
    else if (verdict.kind === 'failed') this.ejections.failed(record, verdict.reason);
    else if (verdict.kind === 'circuit_open') this.agentRefuses(record, verdict);
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
        ...watched(instance, this.deps.clock.now()),
        kind: 'node',
        state,
        breaker: this.newBreaker(({ kind }) => {
          tally(this.transitions.circuits, kind);
          this.refresh(fresh);
        }),
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
      if (isNew) this.tell(watched(instance, this.deps.clock.now()), undefined);
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

  private remove(records: Map<string, HealthRecord>, key: string, bad: Map<string, HealthKind>, instance: Instance): void {
    const record = records.get(key);
    records.delete(key);
    if (bad.delete(key)) this.changes += 1;
    if (record !== undefined) this.forget(record);
    const last = record ?? watched(instance, this.deps.clock.now());
    const gone = { ...last, sinceMs: this.deps.clock.now(), state: decideHealth({ ...inputsOf(last), present: false }, 0) };
    this.tell(gone, last.state.kind);
  }

  private forget(record: HealthRecord): void {
    record.cancelTimer?.();
    if (record.kind === 'agent') this.ejections.forget(record);
  }

  /** Undefined for an agent that has gone, or lives again: what calls to its earlier life tell says nothing of it. */
  private agentOf(target: Target): AgentRecord | undefined {
    const { incarnation } = target.instance;
    const record = this.agents.get(target.key);
    if (record?.instance.incarnation === incarnation) return record;
    const isCurrent = this.deps.view.catalog.get(target.instance)?.instance.incarnation === incarnation;
    return isCurrent ? this.newAgent(target, HEALTHY) : undefined;
  }

  private newAgent(target: Target, state: HealthState): AgentRecord {
    const record = agentRecord(target, state, this.deps.clock.now());
    this.agents.set(target.key, record);
    return record;
  }

  private newBreaker(onChange: (state: CircuitState) => void): CircuitBreaker {
    this.eras += ERAS_OF_A_LIFE;
    return new CircuitBreaker(NODE_CIRCUIT, this.deps.clock, onChange, this.eras);
  }

  private agentSucceeded(record: AgentRecord): void {
    if (record.circuit !== undefined) {
      record.circuit = undefined;
      this.refresh(record);
    }
    this.ejections.succeeded(record);
  }

  private agentRefuses(record: AgentRecord, { reason, retryAfterMs }: Verdict & { readonly kind: 'circuit_open' }): void {
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.max(LEAST_PAUSE_MS, retryAfterMs));
    record.circuit = { kind: 'open', untilMs: this.deps.clock.monotonicMs() + pauseMs, reason };
    this.refresh(record);
  }

  /** Decides anew, and tells of it where that changed something. */
  private refresh(record: HealthRecord, isNew = false): void {
    const { clock } = this.deps;
    const nowMs = clock.monotonicMs();
    if (record.kind === 'agent') this.ejections.expire(record, nowMs);
    const before = record.state;
    record.state = decideHealth(inputsOf(record), nowMs);
    this.watchTime(record);
    const isChanged = before.kind !== record.state.kind;
    if (isChanged) {
      tally(this.transitions.health, record.state.kind);
      record.sinceMs = clock.now();
      this.index(record);
    }
    if (isChanged || isNew) this.tell(record, isNew ? undefined : before.kind);
  }

  private index(record: HealthRecord): void {
    const [bad, key] =
      record.kind === 'node' ? ([this.badNodes, record.instance.id] as const) : ([this.badAgents, record.key] as const);
    const { kind } = record.state;
    if (isUsable(kind)) bad.delete(key);
    else bad.set(key, kind);
    this.changes += 1;
  }

  private watchTime(record: HealthRecord): void {
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

function tally<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
