import { assertNever } from '../core/assert-never.js';

/** What a health check saw that is no good. */
export type Miss = 'no_answer' | 'unreachable' | 'not_serving';

export type ProbeOutcome = { readonly kind: 'passed' } | { readonly kind: 'missed'; readonly miss: Miss };

/** What is known of a node from its health checks. */
export type ProbeState =
  /** Has not passed one yet. */
  | { readonly kind: 'unknown'; readonly misses: number }
  | { readonly kind: 'passing'; readonly misses: number }
  /** `passes` in a row since it last missed one; `sinceMs` by the wall clock. */
  | { readonly kind: 'failing'; readonly passes: number; readonly reason: string; readonly sinceMs: number };

export interface ProbePolicy {
  /** Between two checks of a node, while there are no more than `perSecond` allows. */
  readonly intervalMs: number;
  /** How long a check waits for its answer. */
  readonly timeoutMs: number;
  /** Checks missed in a row that make a node failing. */
  readonly misses: number;
  /** Checks passed in a row that end that. */
  readonly passes: number;
  /** Checks of all nodes together: with more nodes, each is checked less often. */
  readonly perSecond: number;
}

/**
 * A frozen node is found within two intervals and a timeout, about 3 s: the bound is 4 s. Two in a row, so that one lost packet or
 * one long garbage collection is nothing; both ways alike.
 */
export const DEFAULT_PROBES: ProbePolicy = { intervalMs: 1_000, timeoutMs: 1_000, misses: 2, passes: 2, perSecond: 200 };

export const NEVER_PROBED: ProbeState = { kind: 'unknown', misses: 0 };

/** The state after a check; `nowMs` by the wall clock. */
export function afterProbe(state: ProbeState, outcome: ProbeOutcome, policy: ProbePolicy, nowMs: number): ProbeState {
  switch (state.kind) {
    case 'unknown':
    case 'passing': {
      if (outcome.kind === 'passed') return { kind: 'passing', misses: 0 };
      const misses = state.misses + 1;
      if (misses < policy.misses) return { kind: state.kind, misses };
      return { kind: 'failing', passes: 0, reason: reasonOf(outcome.miss, policy), sinceMs: nowMs };
    }
    case 'failing': {
      if (outcome.kind === 'missed') return { ...state, passes: 0 };
      const passes = state.passes + 1;
      return passes < policy.passes ? { ...state, passes } : { kind: 'passing', misses: 0 };
    }
    default:
      return assertNever(state);
  }
}

/** How long from one check of a node to its next, with so many nodes. */
export function probeIntervalMs(nodes: number, { intervalMs, perSecond }: ProbePolicy): number {
  return Math.max(intervalMs, (nodes / perSecond) * 1_000);
}

function reasonOf(miss: Miss, { misses, timeoutMs }: ProbePolicy): string {
  const checks = `${misses} health ${misses === 1 ? 'check' : 'checks'}`;
  switch (miss) {
    case 'no_answer':
      return `no answer to ${checks} within ${timeoutMs / 1_000} s`;
    case 'unreachable':
      return `not reached by ${checks}`;
    case 'not_serving':
      return `answered NOT_SERVING to ${checks}`;
    default:
      return assertNever(miss);
  }
}
