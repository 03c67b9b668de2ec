import { HealthState, type InstanceHealth, type HealthTransition as TransitionMessage } from '../gen/troupe/v1/health.js';
import type { HealthTransition, HealthView } from './health-table.js';
import type { HealthKind } from './instance-health.js';

const STATES: Readonly<Record<HealthKind, HealthState>> = {
  healthy: HealthState.HEALTH_STATE_HEALTHY,
  degraded: HealthState.HEALTH_STATE_DEGRADED,
  starting: HealthState.HEALTH_STATE_STARTING,
  suspect: HealthState.HEALTH_STATE_SUSPECT,
  ejected: HealthState.HEALTH_STATE_EJECTED,
  circuit_open: HealthState.HEALTH_STATE_CIRCUIT_OPEN,
  probation: HealthState.HEALTH_STATE_PROBATION,
  draining: HealthState.HEALTH_STATE_DRAINING,
  gone: HealthState.HEALTH_STATE_GONE,
};

export function healthToMessage({ service, id, nodeId, kind, reason, sinceMs, untilMs }: HealthView): InstanceHealth {
  const until = untilMs === undefined ? undefined : new Date(untilMs);
  return { service, id, nodeId, state: STATES[kind], reason, since: new Date(sinceMs), until };
}

export function transitionToMessage({ instance, from }: HealthTransition): TransitionMessage {
  return { instance: healthToMessage(instance), from: from === undefined ? HealthState.HEALTH_STATE_UNSPECIFIED : STATES[from] };
}
