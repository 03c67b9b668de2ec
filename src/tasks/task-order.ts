import { capabilityViolations, entryViolations } from '../agent/manifest.js';
import { hashKey } from '../balancer/hash-key.js';
import type { StrategyName } from '../balancer/strategies.js';
import { effectiveDeadline } from '../core/deadline.js';
import { deadlineExceeded, type FieldViolation, invalidArgument, invalidFields } from '../core/errors.js';
import { idViolation, newId } from '../core/ids.js';
import type { Random } from '../core/random.js';
import type { RoutedTask } from '../gen/troupe/internal/v1/routed.js';
import { Priority, type RetryPolicy } from '../gen/troupe/v1/task.js';
import { routingKeyViolation, strategyFromMessage } from '../rpc/codec/strategy.js';
import { msFromDuration } from '../rpc/codec/time.js';
import { DEFAULT_RETRY, type RetryLimits, type RouteRequest } from '../upstream/route-request.js';
import { fallbacksOf, type RoutingPolicy } from '../upstream/routing-policy.js';

/** A task that has been checked, with its id and deadline filled in, and what a router needs of it. */
export interface TaskOrder {
  readonly task: RoutedTask;
  readonly route: RouteRequest;
  /** Capabilities that may do it instead, in order. */
  readonly fallbacks: readonly string[];
}

export interface OrderContext {
  readonly nowMs: number;
  /** Of the call; Infinity when it has none. */
  readonly callDeadlineMs: number;
  readonly defaultStrategy: StrategyName;
  readonly policy: RoutingPolicy;
  readonly random: Random;
}

const MAX_ATTEMPTS = 10;
const MAX_BACKOFF_MS = 60_000;
const MAX_HEDGING_DELAY_MS = 3_600_000;

/** @throws INVALID_ARGUMENT naming every wrong field; DEADLINE_EXCEEDED when the task's deadline is in the past. */
export function orderTask(task: RoutedTask | undefined, context: OrderContext): TaskOrder {
  if (task === undefined) throw invalidArgument('task', 'is required');
  const violations = violationsOf(task);
  if (violations.length > 0) throw invalidFields(violations);
  const strategy = strategyFor(task, task.requiredCapabilities, context);
  const fallbacks = fallbacksOf(task.requiredCapabilities, task.fallbackCapability, context.policy);
  const deadlineMs = effectiveDeadline(context.nowMs, task.deadline?.getTime(), context.callDeadlineMs);
  if (deadlineMs <= context.nowMs) throw deadlineExceeded('task.deadline: has passed already');
  return {
    task: { ...task, id: task.id || newId('task', context.random), deadline: new Date(deadlineMs) },
    fallbacks,
    route: {
      capabilities: task.requiredCapabilities,
      agentId: task.agentId,
      strategy,
      hash: task.routingKey === '' ? undefined : hashKey(task.routingKey),
      idempotent: task.idempotent,
      deadlineMs,
      retry: task.retry === undefined ? DEFAULT_RETRY : retryOf(task.retry),
    },
  };
}

/** The same task for an agent of another capability. */
export function orderFallback({ task, route }: TaskOrder, capability: string, context: OrderContext): TaskOrder {
  const capabilities = [capability];
  const wanted = namedStrategy(task, capabilities, context);
  // The task was made for another capability: that it has no key for this one must not be what it ends with.
  const strategy = wanted === 'consistent_hash' && route.hash === undefined ? 'random' : wanted;
  return {
    task: { ...task, requiredCapabilities: capabilities, agentId: '' },
    route: { ...route, capabilities, agentId: '', strategy },
    fallbacks: [],
  };
}

/** The task's own, that of the first of its capabilities that has one, or the router's. @throws INVALID_ARGUMENT for a hash without a key. */
function strategyFor(task: RoutedTask, capabilities: readonly string[], context: OrderContext): StrategyName {
  const strategy = namedStrategy(task, capabilities, context);
  if (strategy === 'consistent_hash' && task.routingKey === '' && task.agentId === '') {
    throw invalidArgument(
      'task.routing_key',
      `is required by consistent_hash, ${task.strategy === 0 ? 'which is the default here: give a key, or another task.strategy' : 'which task.strategy names'}`,
    );
  }
  return strategy;
}

function namedStrategy(
  task: RoutedTask,
  capabilities: readonly string[],
  { policy, defaultStrategy }: OrderContext,
): StrategyName {
  const byPolicy = capabilities.map((name) => policy.capabilities.get(name)?.strategy).find((name) => name !== undefined);
  return strategyFromMessage(task.strategy, byPolicy ?? defaultStrategy) ?? defaultStrategy;
}

function violationsOf(task: RoutedTask): FieldViolation[] {
  const violations = [
    ...capabilityViolations('task.required_capabilities', task.requiredCapabilities),
    ...entryViolations('task.labels', task.labels),
  ];
  const add = (violation: FieldViolation | undefined) => {
    if (violation !== undefined) violations.push(violation);
  };
  if (task.id !== '') add(idViolation('task.id', task.id));
  if (task.agentId !== '') add(idViolation('task.agent_id', task.agentId));
  if (task.agentId === '' && task.requiredCapabilities.length === 0) {
    add({ field: 'task.required_capabilities', description: 'name at least one capability, or give task.agent_id' });
  }
  if (strategyFromMessage(task.strategy, 'round_robin') === undefined)
    add({ field: 'task.strategy', description: 'is not a strategy that this version knows' });
  if (!(task.priority in Priority)) add({ field: 'task.priority', description: 'is not a priority that this version knows' });
  if (task.deadline !== undefined && Number.isNaN(task.deadline.getTime()))
    add({ field: 'task.deadline', description: 'is not a valid time' });
  add(routingKeyViolation('task.routing_key', task.routingKey, 'round_robin'));
  if (task.fallbackCapability !== '') add(idViolation('task.fallback_capability', task.fallbackCapability));
  if (task.retry !== undefined) violations.push(...retryViolations(task.retry, task.idempotent));
  return violations;
}

function retryViolations({ maxAttempts, hedgingDelay, ...policy }: RetryPolicy, idempotent: boolean): FieldViolation[] {
  const violations: FieldViolation[] = [];
  if (maxAttempts !== undefined && (maxAttempts < 1 || maxAttempts > MAX_ATTEMPTS))
    violations.push({ field: 'task.retry.max_attempts', description: `must be 1 to ${MAX_ATTEMPTS}` });
  const within = (field: string, duration: RetryPolicy['initialBackoff'], most: number) => {
    const ms = duration === undefined ? undefined : msFromDuration(duration);
    if (ms !== undefined && !(ms >= 1 && ms <= most))
      violations.push({ field: `task.retry.${field}`, description: `must be 1 ms to ${most / 1000} s` });
    return ms;
  };
  const initialMs = within('initial_backoff', policy.initialBackoff, MAX_BACKOFF_MS);
  const capMs = within('max_backoff', policy.maxBackoff, MAX_BACKOFF_MS);
  if (capMs !== undefined && capMs < (initialMs ?? Math.min(DEFAULT_RETRY.initialMs, capMs)))
    violations.push({ field: 'task.retry.max_backoff', description: 'must be at least task.retry.initial_backoff' });
  within('hedging_delay', hedgingDelay, MAX_HEDGING_DELAY_MS);
  if (hedgingDelay !== undefined && !idempotent)
    violations.push({ field: 'task.retry.hedging_delay', description: 'needs task.idempotent: several agents may do the task' });
  return violations;
}

function retryOf({ maxAttempts, initialBackoff, maxBackoff, hedgingDelay }: RetryPolicy): RetryLimits {
  const capMs = maxBackoff === undefined ? undefined : msFromDuration(maxBackoff);
  const initialMs =
    initialBackoff === undefined
      ? Math.min(DEFAULT_RETRY.initialMs, capMs ?? Number.POSITIVE_INFINITY)
      : msFromDuration(initialBackoff);
  return {
    maxAttempts: maxAttempts ?? DEFAULT_RETRY.maxAttempts,
    initialMs,
    capMs: capMs ?? Math.max(DEFAULT_RETRY.capMs, initialMs),
    hedgingDelayMs: hedgingDelay === undefined ? undefined : msFromDuration(hedgingDelay),
  };
}
