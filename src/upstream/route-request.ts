import type { StrategyName } from '../balancer/strategies.js';

/** What a router needs to know of a task. */
export interface RouteRequest {
  /** All of these; empty where `agentId` says who. */
  readonly capabilities: readonly string[];
  /** '' for any agent. */
  readonly agentId: string;
  readonly strategy: StrategyName;
  /** Of the routing key; undefined where there is none. */
  readonly hash: number | undefined;
  readonly idempotent: boolean;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly retry: RetryLimits;
}

/** When a task is tried again. */
export interface RetryLimits {
  /** Tries all in all, the first included, at least 1. */
  readonly maxAttempts: number;
  /** Upper end of the first pause. */
  readonly initialMs: number;
  /** Upper end of every pause. */
  readonly capMs: number;
  /** For idempotent tasks: another agent is asked as well after so long without an answer. */
  readonly hedgingDelayMs: number | undefined;
}

export const DEFAULT_RETRY: RetryLimits = { maxAttempts: 5, initialMs: 100, capMs: 1_000, hedgingDelayMs: undefined };
