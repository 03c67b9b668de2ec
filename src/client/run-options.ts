import type { StrategyName } from '../balancer/strategies.js';
import { invalidArgument } from '../core/errors.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import type { RoutedTask } from '../gen/troupe/internal/v1/routed.js';
import { Priority, type RetryPolicy } from '../gen/troupe/v1/task.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { strategyToMessage } from '../rpc/codec/strategy.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { TraceOptions } from '../telemetry/trace-headers.js';

export interface RunOptions extends TraceOptions {
  /** Until the task ends at the latest, at most 1 h; 30 s when not given. Word of that may come up to 500 ms later, from a cluster in trouble. */
  readonly timeoutMs?: number;
  /** Names the task; made by the server when not given. */
  readonly id?: string;
  /** Runs on this agent only. */
  readonly agentId?: string;
  /** How an agent is chosen; the router's default when not given. */
  readonly strategy?: StrategyName;
  /** Tasks with the same key go to the same agent under `consistent_hash`, which needs it. At most 1 KiB. */
  readonly routingKey?: string;
  /** Whether running it twice does no harm: then it is repeated elsewhere when its outcome is unknown. */
  readonly idempotent?: boolean;
  /** Who goes first where tasks wait, and is refused last; normal when not given. */
  readonly priority?: TaskPriority;
  /** When it is tried again; the router's defaults for what is not given. */
  readonly retry?: RetryOptions;
  /** Does it instead where no agent of the capabilities can take it. */
  readonly fallbackCapability?: string;
  /** Free entries that the agent sees. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Calls the task off, wherever it runs. */
  readonly signal?: AbortSignal;
}

export interface RunStreamOptions extends RunOptions {
  /**
   * How long the stream survives a lost connection, at most 5 min: the work goes on, and the stream with it once the address is reached
   * again. 30 s when not given; 0: not at all.
   */
  readonly resumeWindowMs?: number;
}

export type TaskPriority = 'low' | 'normal' | 'high' | 'critical';

export interface RetryOptions {
  /** Tries all in all, 1 to 10; 5 when not given. */
  readonly maxAttempts?: number;
  /** Upper end of the first pause, 1 ms to 1 min; 100 ms when not given. */
  readonly initialBackoffMs?: number;
  /** Upper end of every pause, at most 1 min; 1 s when not given. */
  readonly maxBackoffMs?: number;
  /** For idempotent tasks: another agent is asked as well when the first has not answered after this. Not for streams. */
  readonly hedgingDelayMs?: number;
}

const PRIORITIES: Readonly<Record<TaskPriority, Priority>> = {
  low: Priority.PRIORITY_LOW,
  normal: Priority.PRIORITY_NORMAL,
  high: Priority.PRIORITY_HIGH,
  critical: Priority.PRIORITY_CRITICAL,
};

export const PRIORITY_NAMES = Object.keys(PRIORITIES) as readonly TaskPriority[];

/** A task as it is sent. @throws TroupeError INVALID_ARGUMENT naming the option that is wrong. */
export function routedTask(capabilities: string | readonly string[], input: PayloadInput, options: RunOptions): RoutedTask {
  return {
    id: options.id ?? '',
    requiredCapabilities: typeof capabilities === 'string' ? [capabilities] : [...capabilities],
    agentId: options.agentId ?? '',
    payload: encodePayload(toPayload(input)),
    deadline: undefined,
    strategy: strategyToMessage(options.strategy),
    idempotent: options.idempotent ?? false,
    labels: new Map(Object.entries(options.labels ?? {})),
    routingKey: options.routingKey ?? '',
    priority: options.priority === undefined ? Priority.PRIORITY_UNSPECIFIED : priorityOf(options.priority),
    retry: options.retry === undefined ? undefined : retryPolicy(options.retry),
    fallbackCapability: options.fallbackCapability ?? '',
  };
}

function priorityOf(name: TaskPriority): Priority {
  const priority = Object.hasOwn(PRIORITIES, name) ? PRIORITIES[name] : undefined;
  if (priority === undefined) throw invalidArgument('priority', `must be one of ${PRIORITY_NAMES.join(', ')}`);
  return priority;
}

function retryPolicy({ maxAttempts, initialBackoffMs, maxBackoffMs, hedgingDelayMs }: RetryOptions): RetryPolicy {
  if (maxAttempts !== undefined && !Number.isInteger(maxAttempts))
    throw invalidArgument('retry.maxAttempts', 'must be a whole number');
  const duration = (field: string, ms: number | undefined) =>
    ms === undefined ? undefined : durationFromMs(milliseconds(`retry.${field}`, ms));
  return {
    maxAttempts,
    initialBackoff: duration('initialBackoffMs', initialBackoffMs),
    maxBackoff: duration('maxBackoffMs', maxBackoffMs),
    hedgingDelay: duration('hedgingDelayMs', hedgingDelayMs),
  };
}

/** @throws TroupeError INVALID_ARGUMENT naming `field` for what is no number, infinite, or below 0. */
export function milliseconds(field: string, ms: number): number {
  if (Number.isFinite(ms) && ms >= 0) return ms;
  throw invalidArgument(field, `must be a number of milliseconds, 0 or more, not ${ms}`);
}
