import { CircuitState, type CircuitStatus } from '../../gen/troupe/v1/health.js';
import type { CircuitBreaker, CircuitState as State } from '../../resilience/circuit-breaker.js';

const STATES: Readonly<Record<State['kind'], CircuitState>> = {
  closed: CircuitState.CIRCUIT_STATE_CLOSED,
  open: CircuitState.CIRCUIT_STATE_OPEN,
  half_open: CircuitState.CIRCUIT_STATE_HALF_OPEN,
};

/** `service` and `id`: what the circuit guards. */
export function circuitStatusToMessage(service: string, id: string, breaker: CircuitBreaker): CircuitStatus {
  const { state, counts, nextTryAtMs } = breaker;
  return {
    service,
    id,
    state: STATES[state.kind],
    consecutiveFailures: breaker.consecutiveFailures,
    successes: BigInt(counts.successes),
    failures: BigInt(counts.failures),
    rejected: BigInt(counts.rejected),
    openings: state.kind === 'closed' ? 0 : state.openings,
    since: new Date(breaker.sinceMs),
    nextTryAt: nextTryAtMs === undefined ? undefined : new Date(nextTryAtMs),
    lastFailure: breaker.lastFailure,
  };
}

/** That an answer carries: of Node.GetStatus, and of Registry.GetStats. */
export const MAX_CIRCUITS = 1_000;
/** That a member's report carries with its heartbeat. */
export const MAX_REPORTED_CIRCUITS = 64;

/** Those that somebody looks for: all that are not closed, then those that have seen a failure; bounded. */
export function notableCircuits(circuits: readonly CircuitStatus[]): CircuitStatus[] {
  const isClosed = ({ state }: CircuitStatus) => state === CircuitState.CIRCUIT_STATE_CLOSED;
  return [
    ...circuits.filter((circuit) => !isClosed(circuit)),
    ...circuits.filter((circuit) => isClosed(circuit) && circuit.failures > 0n),
  ].slice(0, MAX_CIRCUITS);
}
