import { capabilityViolations, entryViolations } from '../agent/manifest.js';
import type { StrategyName } from '../balancer/strategies.js';
import { effectiveDeadline } from '../core/deadline.js';
import { deadlineExceeded, type FieldViolation, invalidArgument, invalidFields } from '../core/errors.js';
import { idViolation, newId } from '../core/ids.js';
import type { Random } from '../core/random.js';
import type { RoutedTask } from '../gen/troupe/internal/v1/routed.js';
import { strategyFromMessage } from '../rpc/codec/strategy.js';
import type { RouteRequest } from '../upstream/router.js';

/** A task that has been checked, with its id and deadline filled in, and what a router needs of it. */
export interface TaskOrder {
  readonly task: RoutedTask;
  readonly route: RouteRequest;
}

export interface OrderContext {
  readonly nowMs: number;
  /** Of the call; Infinity when it has none. */
  readonly callDeadlineMs: number;
  readonly defaultStrategy: StrategyName;
  readonly random: Random;
}

/** @throws INVALID_ARGUMENT naming every wrong field; DEADLINE_EXCEEDED when the task's deadline is in the past. */
export function orderTask(task: RoutedTask | undefined, context: OrderContext): TaskOrder {
  if (task === undefined) throw invalidArgument('task', 'is required');
  const strategy = strategyFromMessage(task.strategy, context.defaultStrategy);
  const violations = violationsOf(task, strategy);
  if (violations.length > 0) throw invalidFields(violations);
  const deadlineMs = effectiveDeadline(context.nowMs, task.deadline?.getTime(), context.callDeadlineMs);
  if (deadlineMs <= context.nowMs) throw deadlineExceeded('task.deadline: has passed already');
  return {
    task: { ...task, id: task.id || newId('task', context.random), deadline: new Date(deadlineMs) },
    route: {
      capabilities: task.requiredCapabilities,
      agentId: task.agentId,
      strategy: strategy ?? context.defaultStrategy,
      idempotent: task.idempotent,
      deadlineMs,
    },
  };
}

function violationsOf(task: RoutedTask, strategy: StrategyName | undefined): FieldViolation[] {
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
  if (strategy === undefined) add({ field: 'task.strategy', description: 'is not a strategy that this version knows' });
  if (task.deadline !== undefined && Number.isNaN(task.deadline.getTime()))
    add({ field: 'task.deadline', description: 'is not a valid time' });
  return violations;
}
