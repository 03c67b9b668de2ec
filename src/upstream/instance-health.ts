import type { InstanceStatus, ProbeVerdict } from '../core/instance.js';

/** What a router makes of an instance. Times are on the monotonic clock. */
export type HealthState =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'degraded'; readonly reason: string }
  | { readonly kind: 'starting'; readonly reason: string }
  | { readonly kind: 'suspect'; readonly reason: string }
  | { readonly kind: 'ejected'; readonly reason: string; readonly untilMs: number }
  | { readonly kind: 'circuit_open'; readonly reason: string; readonly untilMs: number }
  | { readonly kind: 'probation'; readonly reason: string }
  | { readonly kind: 'draining'; readonly reason: string }
  | { readonly kind: 'gone'; readonly reason: string };

export type HealthKind = HealthState['kind'];

/** Everything that says something of an instance's health. */
export interface HealthInputs {
  /** Whether it is registered: its lease lives. */
  readonly present: boolean;
  /** As its owner wrote it: drain is one of its values. */
  readonly status: InstanceStatus;
  /** Active checks, by the leading registry. */
  readonly probe: ProbeVerdict | undefined;
  /** Passive: set aside because its calls failed. */
  readonly ejection: SetAside | undefined;
  /** Passive: a circuit breaker on the way to it, when it is not closed. */
  readonly circuit: CircuitInput | undefined;
}

export interface SetAside {
  readonly untilMs: number;
  readonly reason: string;
}

export type CircuitInput = ({ readonly kind: 'open' } & SetAside) | { readonly kind: 'half_open'; readonly reason: string };

/**
 * The one place that decides what a router makes of an instance: what its owner and its lease say comes first, then what certainly
 * refuses calls, then what active checks and calls tell.
 */
export function decideHealth({ present, status, probe, ejection, circuit }: HealthInputs, nowMs: number): HealthState {
  if (!present) return { kind: 'gone', reason: 'its lease expired, or it was deregistered' };
  if (status === 'down') return { kind: 'gone', reason: 'its owner says that it is DOWN' };
  if (status === 'stopping') return { kind: 'draining', reason: 'it drains' };
  if (status === 'starting') return { kind: 'starting', reason: 'it is not ready yet' };
  if (circuit?.kind === 'open' && circuit.untilMs > nowMs) {
    return { kind: 'circuit_open', reason: circuit.reason, untilMs: circuit.untilMs };
  }
  if (probe?.failing === true) return { kind: 'suspect', reason: probe.reason };
  if (ejection !== undefined && ejection.untilMs > nowMs) return { kind: 'ejected', ...ejection };
  if (circuit !== undefined) return { kind: 'probation', reason: circuit.reason };
  if (status === 'degraded') return { kind: 'degraded', reason: 'its owner says that it is DEGRADED' };
  return HEALTHY;
}

export const HEALTHY: HealthState = { kind: 'healthy' };

/** Whether an instance in this state gets calls as any other does. `degraded` is up to its owner: it is used where nobody is UP. */
export function isUsable(kind: HealthKind): boolean {
  return kind === 'healthy' || kind === 'degraded' || kind === 'probation';
}

/** Whether calls to it are certain to be refused: not even panic sends any. */
export function isShut(kind: HealthKind): boolean {
  return kind === 'circuit_open' || kind === 'draining' || kind === 'starting' || kind === 'gone';
}
