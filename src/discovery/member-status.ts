import type { Clock } from '../core/clock.js';
import type { Membership } from '../discovery/membership.js';
import type { ClusterView } from '../discovery/view.js';
import { GetStatusResponse, LeaseState, type LeaseStatus, type ViewStatus } from '../gen/troupe/v1/node.js';
import { instanceToMessage } from '../rpc/codec/instance.js';
import { durationFromMs } from '../rpc/codec/time.js';

export interface StatusDeps {
  readonly membership: Membership;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly startedAtMs: number;
  readonly version: string;
}

/** The part of Node.GetStatus that every member of the cluster has, with agents or without. */
export function memberStatus(deps: StatusDeps): GetStatusResponse {
  return GetStatusResponse.fromPartial({
    node: instanceToMessage(deps.membership.self),
    lease: leaseStatus(deps),
    view: viewStatus(deps.view),
    startedAt: new Date(deps.startedAtMs),
    version: deps.version,
  });
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
