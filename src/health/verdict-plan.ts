import type { ProbeVerdict } from '../core/instance.js';
import type { ProbeState } from './probe-state.js';

export interface Probed {
  readonly state: ProbeState;
  /** What the node's record says now. */
  readonly shown: ProbeVerdict | undefined;
}

export type VerdictChange = 'mark' | 'clear';

export interface ProbeCounts {
  readonly probed: number;
  /** Missed their last check. */
  readonly missing: number;
}

/** Among fewer, half of them is one node that fails by itself. */
const FEWEST_FOR_MASS_FAILURE = 3;

/** What has to be written so that the record says what is known; level-triggered: whatever came in between. */
export function verdictChange({ state, shown }: Probed): VerdictChange | undefined {
  if (state.kind === 'failing') return shown?.failing === true ? undefined : 'mark';
  // A verdict goes when the node passes, not because this prober knows nothing of it yet.
  return state.kind === 'passing' && shown !== undefined ? 'clear' : undefined;
}

export function countProbes(states: Iterable<ProbeState>): ProbeCounts {
  let probed = 0;
  let missing = 0;
  for (const state of states) {
    if (state.kind === 'unknown' && state.misses === 0) continue;
    probed += 1;
    if (isMissing(state)) missing += 1;
  }
  return { probed, missing };
}

/**
 * Whether more than half of the nodes fail together. Then it is more likely the prober that is cut off, and whatever it wrote would take
 * the whole cluster out of service: it writes nothing new, as Eureka's self-preservation keeps its instances and Kubernetes' node
 * controller slows or stops evictions where 55 % of a zone, and at least three nodes, are unhealthy. Nodes that missed one check
 * count already: those that are cut off together reach their second miss one after another, and the first of them must be held back, too.
 */
export function isMassFailure({ probed, missing }: ProbeCounts): boolean {
  return probed >= FEWEST_FOR_MASS_FAILURE && missing * 2 > probed;
}

function isMissing(state: ProbeState): boolean {
  return state.kind === 'failing' ? state.passes === 0 : state.misses > 0;
}
