import type { Clock } from '../core/clock.js';
import { NODE_SERVICE } from '../core/instance.js';
import type { Membership } from '../discovery/membership.js';
import type { ClusterView } from '../discovery/view.js';
import { CircuitState, type CircuitStatus } from '../gen/troupe/v1/health.js';
import { GetStatusResponse, LeaseState, type LeaseStatus, type ViewStatus } from '../gen/troupe/v1/node.js';
import type { MemberReport } from '../gen/troupe/v1/registry.js';
import { circuitStatusToMessage, MAX_REPORTED_CIRCUITS, notableCircuits } from '../rpc/codec/circuit.js';
import { instanceToMessage } from '../rpc/codec/instance.js';
import { durationFromMs } from '../rpc/codec/time.js';
import { healthToMessage } from './health-messages.js';
import type { HealthTable } from './health-table.js';

export interface StatusDeps {
  readonly membership: Membership;
  readonly view: ClusterView;
  /** What it, as a router, makes of the others. */
  readonly routes: HealthTable;
  readonly clock: Clock;
  readonly startedAtMs: number;
  readonly version: string;
}

/** The part of Node.GetStatus that every member of the cluster has, with agents or without. */
export function memberStatus(deps: StatusDeps): GetStatusResponse {
  const { routes } = deps;
  return GetStatusResponse.fromPartial({
    node: instanceToMessage(deps.membership.self),
    lease: leaseStatus(deps),
    view: viewStatus(deps.view),
    startedAt: new Date(deps.startedAtMs),
    version: deps.version,
    circuits: notableCircuits(nodeCircuits(routes)),
    unhealthy: firstOf(routes.unhealthy(), MAX_LISTED).map(healthToMessage),
  });
}

const MAX_LISTED = 1_000;

/** Of a member that hosts agents. */
export interface HostedLoad {
  readonly inFlight: number;
  readonly queued: number;
  readonly circuits: readonly CircuitStatus[];
}

/** What a member tells of itself with its heartbeat. */
export function memberReport(routes: HealthTable, { inFlight, queued, circuits }: HostedLoad = NOTHING_HOSTED): MemberReport {
  const notable = notableCircuits([...circuits, ...nodeCircuits(routes)]);
  const open = notable.filter(({ state }) => state !== CircuitState.CIRCUIT_STATE_CLOSED);
  return { inFlight, queued, circuits: open.slice(0, MAX_REPORTED_CIRCUITS) };
}

const NOTHING_HOSTED: HostedLoad = { inFlight: 0, queued: 0, circuits: [] };

/** Circuit breakers towards nodes. */
function nodeCircuits(routes: HealthTable): CircuitStatus[] {
  return [...routes.circuits()].map(([id, breaker]) => circuitStatusToMessage(NODE_SERVICE, id, breaker));
}

function firstOf<T>(items: Iterable<T>, most: number): T[] {
  const taken: T[] = [];
  for (const item of items) {
    if (taken.length === most) break;
    taken.push(item);
  }
  return taken;
}

function leaseStatus({ membership, clock }: StatusDeps): LeaseStatus {
  const { lease, isFenced } = membership;
  switch (lease.kind) {
    case 'joining':
      return { leaseId: 0n, state: LeaseState.LEASE_STATE_JOINING, remaining: durationFromMs(0) };
    case 'released':
      return { leaseId: 0n, state: LeaseState.LEASE_STATE_RELEASED, remaining: durationFromMs(0) };
    case 'held':
      return {
        leaseId: lease.leaseId,
        state: isFenced ? LeaseState.LEASE_STATE_FENCED : LeaseState.LEASE_STATE_HELD,
        remaining: durationFromMs(Math.max(0, lease.fenceAtMs - clock.monotonicMs())),
      };
  }
}

function viewStatus(view: ClusterView): ViewStatus {
  const { revision, instances, ageMs, stale } = view.status();
  return { revision, instances, age: Number.isFinite(ageMs) ? durationFromMs(ageMs) : undefined, stale };
}
