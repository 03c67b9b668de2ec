/** What a call told of the agent and of its node. */
export type Verdict =
  | { readonly kind: 'succeeded' }
  /** The agent failed. `isSilent`: its deadline passed, maybe without a word from its node; otherwise the node is well. */
  | { readonly kind: 'failed'; readonly reason: string; readonly isSilent: boolean }
  /** The node could not be reached, or was lost. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** The node answered: it is well, and nothing is known of the agent (yet). */
  | { readonly kind: 'reached' }
  /** The node refused because the agent's circuit is open there. */
  | { readonly kind: 'circuit_open'; readonly reason: string; readonly retryAfterMs: number }
  /** Nothing: the caller went away, or gave too little time. */
  | { readonly kind: 'abandoned' };

export const SUCCEEDED: Verdict = { kind: 'succeeded' };
export const REACHED: Verdict = { kind: 'reached' };
export const ABANDONED: Verdict = { kind: 'abandoned' };
