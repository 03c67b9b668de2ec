import { describe, expect, it } from '@jest/globals';
import { DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS } from '../../../src/core/deadline.js';
import { RoutedTask } from '../../../src/gen/troupe/internal/v1/routed.js';
import { Strategy } from '../../../src/gen/troupe/v1/strategy.js';
import { orderTask } from '../../../src/tasks/task-order.js';
import { DEFAULT_RETRY } from '../../../src/upstream/route-request.js';
import { NO_POLICY } from '../../../src/upstream/routing-policy.js';
import { seededRandom } from '../../support/seeded-random.js';

const NOW = Date.UTC(2026, 0, 1);
const NEVER = Number.POSITIVE_INFINITY;

function order(task: Parameters<typeof RoutedTask.fromPartial>[0], callDeadlineMs = NEVER) {
  const context = {
    nowMs: NOW,
    callDeadlineMs,
    defaultStrategy: 'round_robin' as const,
    policy: NO_POLICY,
    random: seededRandom(1),
  };
  return orderTask(RoutedTask.fromPartial({ requiredCapabilities: ['x'], ...task }), context);
}

describe('orderTask', () => {
  it('says what a router needs, and gives the task an id and a deadline', () => {
    const { task, route } = order({
      requiredCapabilities: ['x', 'y'],
      strategy: Strategy.STRATEGY_LEAST_CONNECTIONS,
      idempotent: true,
    });
    expect(task.id).toMatch(/^task-[a-z0-9]{12}$/);
    expect(task.deadline).toEqual(new Date(NOW + DEFAULT_DEADLINE_MS));
    expect(route).toEqual({
      capabilities: ['x', 'y'],
      agentId: '',
      strategy: 'least_connections',
      hash: undefined,
      idempotent: true,
      retry: DEFAULT_RETRY,
      deadlineMs: NOW + DEFAULT_DEADLINE_MS,
    });
    expect(order({ id: 'mine', agentId: 'a', requiredCapabilities: [] })).toMatchObject({
      task: { id: 'mine' },
      route: { agentId: 'a', capabilities: [], strategy: 'round_robin' },
    });
  });

  it.each([
    ['none', undefined, NEVER, DEFAULT_DEADLINE_MS],
    ["the task's", 5_000, NEVER, 5_000],
    ["the call's", undefined, 7_000, 7_000],
    ['the earlier of two', 9_000, 7_000, 7_000],
    ['the earlier of two', 5_000, 7_000, 5_000],
    ['one that is beyond an hour', 10 * MAX_DEADLINE_MS, 20 * MAX_DEADLINE_MS, MAX_DEADLINE_MS],
  ])('with %s as deadline', (_what, taskMs, callMs, expectedMs) => {
    const { route, task } = order({ deadline: taskMs === undefined ? undefined : new Date(NOW + taskMs) }, NOW + callMs);
    expect(route.deadlineMs - NOW).toBe(expectedMs);
    expect(task.deadline?.getTime()).toBe(route.deadlineMs);
  });

  it('refuses a deadline that has passed', () => {
    expect(() => order({ deadline: new Date(NOW) })).toThrow(expect.objectContaining({ code: 'DEADLINE_EXCEEDED' }));
    expect(() => order({}, NOW - 1)).toThrow(expect.objectContaining({ code: 'DEADLINE_EXCEEDED' }));
  });

  it.each<[string, Parameters<typeof RoutedTask.fromPartial>[0]]>([
    ['task.required_capabilities', { requiredCapabilities: [] }],
    ['task.required_capabilities', { requiredCapabilities: Array.from({ length: 65 }, (_, i) => `c${i}`) }],
    ['task.required_capabilities[1]', { requiredCapabilities: ['x', 'x'] }],
    ['task.required_capabilities[0]', { requiredCapabilities: ['../x'] }],
    ['task.id', { id: 'a/b' }],
    ['task.id', { id: 'x'.repeat(10_240) }],
    ['task.id', { id: 'a\0' }],
    ['task.agent_id', { agentId: 'A' }],
    ['task.strategy', { strategy: 99 as Strategy }],
    ['task.deadline', { deadline: new Date(Number.NaN) }],
    ['task.labels', { labels: new Map(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, 'v'] as const)) }],
    ['task.labels["k"]', { labels: new Map([['k', 'x'.repeat(1_025)]]) }],
  ])('names %s', (field, task) => {
    expect(() => order(task)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
    );
  });

  it('names every wrong field at once, and a task that is missing', () => {
    expect(() => order({ id: '!', agentId: '!' })).toThrow(
      expect.objectContaining({ violations: ['task.id', 'task.agent_id'].map((field) => expect.objectContaining({ field })) }),
    );
    const context = {
      nowMs: NOW,
      callDeadlineMs: NEVER,
      defaultStrategy: 'random' as const,
      policy: NO_POLICY,
      random: seededRandom(1),
    };
    expect(() => orderTask(undefined, context)).toThrow(
      expect.objectContaining({ violations: [expect.objectContaining({ field: 'task' })] }),
    );
  });
});
