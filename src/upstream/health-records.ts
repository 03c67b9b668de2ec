import type { Instance } from '../core/instance.js';
import type { Target } from '../discovery/view.js';
import type { CircuitBreaker } from '../resilience/circuit-breaker.js';
import { type CircuitInput, HEALTHY, type HealthInputs, type HealthState, type SetAside } from './instance-health.js';

/** What is known of one instance. */
export interface Watched {
  instance: Instance;
  state: HealthState;
  /** When it reached its state, milliseconds since the epoch. */
  sinceMs: number;
  cancelTimer: (() => void) | undefined;
}

export interface NodeRecord extends Watched {
  readonly kind: 'node';
  readonly breaker: CircuitBreaker;
}

export interface AgentRecord extends Watched {
  readonly kind: 'agent';
  /** Of its target. */
  readonly key: string;
  /** Calls of this interval. */
  successes: number;
  failures: number;
  /** Failures since the last success. */
  inARow: number;
  /** How often it was ejected lately: grows with each ejection, falls with each interval without one. */
  ejections: number;
  ejection: Ejection | undefined;
  /** When its last ejection ended, monotonic. */
  backSinceMs: number;
  circuit: (SetAside & { readonly kind: 'open' }) | undefined;
}

export interface Ejection extends SetAside {
  /** What it offered when it was ejected. */
  readonly capabilities: readonly string[];
}

export type HealthRecord = NodeRecord | AgentRecord;

export function watched(instance: Instance, sinceMs: number): Watched {
  return { instance, state: HEALTHY, sinceMs, cancelTimer: undefined };
}

export function agentRecord({ instance, key }: Target, state: HealthState, sinceMs: number): AgentRecord {
  // Written out: V8 gives an object that begins with a spread several times the memory, and there is one for each agent called.
  return {
    instance,
    state,
    sinceMs,
    cancelTimer: undefined,
    kind: 'agent',
    key,
    successes: 0,
    failures: 0,
    inARow: 0,
    ejections: 0,
    ejection: undefined,
    backSinceMs: Number.NEGATIVE_INFINITY,
    circuit: undefined,
  };
}

/** What decides on its state, as long as it is registered. */
export function inputsOf(record: Watched | HealthRecord): HealthInputs {
  const { status, probe } = record.instance;
  const agent = 'ejection' in record ? record : undefined;
  const circuit = 'breaker' in record ? circuitInput(record.breaker) : agent?.circuit;
  return { present: true, status, probe, ejection: agent?.ejection, circuit };
}

export function reasonOf(state: HealthState): string {
  return 'reason' in state ? state.reason : '';
}

function circuitInput(breaker: CircuitBreaker): CircuitInput | undefined {
  const { state, lastFailure, consecutiveFailures } = breaker;
  switch (state.kind) {
    case 'closed':
      return undefined;
    case 'open': {
      const reason = `${consecutiveFailures} calls in a row did not reach it: ${lastFailure}`;
      return { kind: 'open', untilMs: state.retryAtMs, reason };
    }
    case 'half_open':
      return { kind: 'half_open', reason: `tried again after: ${lastFailure}` };
  }
}
