import type { LoadReport as Load } from '../balancer/load.js';
import type { StrategyName } from '../balancer/strategies.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { ClusterView, Target } from '../discovery/view.js';
import type { RoutedTask, RoutedTaskResult } from '../gen/troupe/internal/v1/routed.js';
import type { LoadReport } from '../gen/troupe/v1/node.js';
import { TaskState } from '../gen/troupe/v1/task.js';
import type { Call } from '../rpc/call.js';
import type { Admission } from '../upstream/admission.js';
import type { Router } from '../upstream/router.js';
import type { RoutingPolicy } from '../upstream/routing-policy.js';
import type { TaskExecutor } from './executor.js';
import { type OrderContext, orderFallback, type TaskOrder } from './task-order.js';
import type { TaskTelemetry } from './task-telemetry.js';

export interface TasksDeps {
  readonly router: Router;
  readonly executor: TaskExecutor;
  readonly view: ClusterView;
  readonly policy: RoutingPolicy;
  readonly admission: Admission;
  /** Whether this router is cut off from the registry. */
  readonly isIsolated: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly defaultStrategy: StrategyName;
  /** Undefined where nothing is measured. */
  readonly telemetry?: TaskTelemetry | undefined;
}

export function orderContext({ clock, random, defaultStrategy, policy }: TasksDeps, call: Call): OrderContext {
  return { nowMs: clock.now(), callDeadlineMs: call.deadlineMs, defaultStrategy, policy, random };
}

/** What `check` makes of a task that has come, before it is routed. @throws what that throws: the task was refused, and is counted. */
export function takeIn<T>({ telemetry }: TasksDeps, check: () => T): T {
  try {
    return check();
  } catch (error) {
    telemetry?.refused(error);
    throw error;
  }
}

/** What `attempt` throws when no agent has taken the task, so that another capability may do it. */
const NOT_TAKEN = new Set(['NO_AGENT', 'UNKNOWN_AGENT']);

export function wasNotTaken(error: unknown): error is TroupeError {
  if (!(error instanceof TroupeError) || error.code === 'CANCELLED') return false;
  return error.metadata.started === 'false' || NOT_TAKEN.has(error.reason);
}

/** What did a task, where it was degraded. */
export interface Degraded<T> {
  readonly value: T;
  readonly fallback: string;
}

/**
 * Sends a task and, where no agent takes it, its fallbacks in turn. Undefined where no fallback takes it either, and a default answer
 * stands for it: `defaultAnswer` gives that. @throws what the task itself met, where nothing helps.
 */
export async function withFallbacks<T>(
  deps: TasksDeps,
  order: TaskOrder,
  context: OrderContext,
  send: (order: TaskOrder, fallback: string) => Promise<T>,
): Promise<Degraded<T> | undefined> {
  const admitted = (each: TaskOrder, fallback: string) => {
    deps.admission.admitTask(each.route.capabilities);
    return send(each, fallback);
  };
  try {
    return { value: await admitted(order, ''), fallback: '' };
  } catch (error) {
    if (!wasNotTaken(error)) throw error;
    for (const fallback of order.fallbacks) {
      try {
        return { value: await admitted(orderFallback(order, fallback, context), fallback), fallback };
      } catch (again) {
        if (!wasNotTaken(again)) throw again;
      }
    }
    if (defaultAnswer(deps, order) === undefined) throw error;
    return undefined;
  }
}

/** The result that the policy has for a task that nobody takes; undefined where it has none. */
export function defaultAnswer({ policy }: TasksDeps, { task, route, fallbacks }: TaskOrder): RoutedTaskResult | undefined {
  const names = [...route.capabilities, ...fallbacks];
  const payload = names.map((name) => policy.capabilities.get(name)?.defaultAnswer).find((answer) => answer !== undefined);
  if (payload === undefined) return undefined;
  return {
    taskId: task.id,
    agentId: '',
    nodeId: '',
    payload,
    attempt: 1,
    duration: undefined,
    state: TaskState.TASK_STATE_COMPLETED,
    fallbackCapability: '',
    defaultAnswer: true,
  };
}

/** What an agent's node is asked. */
export function requestFor({ isIsolated }: TasksDeps, task: RoutedTask, { instance }: Target, attempt: number) {
  return { task: { ...task, agentId: instance.id }, attempt, routerIsolated: isIsolated() };
}

export function loadFromMessage(load: LoadReport | undefined): Load | undefined {
  if (load === undefined) return undefined;
  const { inFlight, queued, limit, eventLoopDelayUs, cpuMillis } = load;
  return { inFlight, queued, limit, eventLoopDelayMs: eventLoopDelayUs / 1_000, cpu: cpuMillis / 1_000 };
}
