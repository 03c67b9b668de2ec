import type { StrategyName } from '../balancer/strategies.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Target } from '../discovery/view.js';
import {
  type RoutedExecuteTaskResponse,
  RoutedRunRequest,
  RoutedRunResponse,
  RoutedRunStreamRequest,
  RoutedRunStreamResponse,
  type RoutedStreamTaskResponse,
  type RoutedTaskEvent,
} from '../gen/troupe/internal/v1/routed.js';
import { TasksDefinition } from '../gen/troupe/v1/tasks.js';
import type { Call } from '../rpc/call.js';
import { type Handlers, withTypes } from '../rpc/service.js';
import { childTrace, formatTraceparent, parseTraceparent } from '../telemetry/trace-context.js';
import { outcomeOf } from '../upstream/outcome.js';
import type { Router } from '../upstream/router.js';
import type { Execution, TaskExecutor } from './executor.js';
import { orderTask, type TaskOrder } from './task-order.js';

/** Tasks as routers see it: payloads stay encoded. */
export const RoutedTasksDefinition = withTypes(TasksDefinition, {
  run: { requestType: RoutedRunRequest, responseType: RoutedRunResponse },
  runStream: { requestType: RoutedRunStreamRequest, responseType: RoutedRunStreamResponse },
});

export interface TasksDeps {
  readonly router: Router;
  readonly executor: TaskExecutor;
  /** Whether this router is cut off from the registry. */
  readonly isIsolated: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly defaultStrategy: StrategyName;
}

/** The Tasks service: the same at a node and at a gateway. */
export function tasksService(deps: TasksDeps): Handlers<typeof RoutedTasksDefinition> {
  return {
    run: async ({ task }, call) => ({ result: (await run(deps, order(deps, task, call), call)).result }),
    runStream: ({ task }, call) => runStream(deps, order(deps, task, call), call),
  };
}

function order({ clock, random, defaultStrategy }: TasksDeps, task: RoutedRunRequest['task'], call: Call): TaskOrder {
  return orderTask(task, { nowMs: clock.now(), callDeadlineMs: call.deadlineMs, defaultStrategy, random });
}

function run(deps: TasksDeps, { task, route }: TaskOrder, call: Call): Promise<RoutedExecuteTaskResponse> {
  const options = { deadlineMs: route.deadlineMs, traceparent: traceparentOf(deps, call) };
  let current: Execution | undefined;
  call.onCancel(() => current?.cancel());
  return deps.router.route(
    route,
    (target, attempt) => {
      if (call.cancelled) throw new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');
      current = deps.executor.execute(target, requestFor(deps, task, target, attempt), options);
      return current.response;
    },
    () => call.signal,
  );
}

async function* runStream(
  deps: TasksDeps,
  { task, route }: TaskOrder,
  call: Call,
): AsyncGenerator<RoutedRunStreamResponse, void, undefined> {
  const options = { deadlineMs: route.deadlineMs, traceparent: traceparentOf(deps, call), signal: call.signal };
  let cursor = 0n;
  const event = (happened: NonNullable<RoutedTaskEvent['event']>): RoutedRunStreamResponse => {
    cursor += 1n;
    return { event: { taskId: task.id, cursor, time: new Date(deps.clock.now()), event: happened } };
  };
  yield event({ $case: 'accepted', value: {} });
  const { target, first, rest } = await deps.router.route(
    route,
    async (chosen, attempt) => {
      const events = deps.executor.stream(chosen, requestFor(deps, task, chosen, attempt), options)[Symbol.asyncIterator]();
      return { target: chosen, first: await events.next(), rest: events };
    },
    () => call.signal,
  );
  target.load.begin();
  try {
    for (let step = first; step.done !== true; step = await rest.next()) {
      if (step.value.event !== undefined) yield event(step.value.event satisfies NonNullable<RoutedStreamTaskResponse['event']>);
    }
  } catch (error) {
    throw error instanceof TroupeError && outcomeOf(error) === 'unknown' ? lostMidway(target, error) : error;
  } finally {
    target.load.end();
    await rest.return?.();
  }
}

function requestFor({ isIsolated }: TasksDeps, task: TaskOrder['task'], { instance }: Target, attempt: number) {
  return {
    task: { ...task, agentId: instance.id },
    attempt,
    routerIsolated: isIsolated(),
    firstCursor: 0n,
    resumeWindow: undefined,
  };
}

/** The caller's trace goes on under a span of this hop. */
function traceparentOf({ random }: TasksDeps, call: Call): string | undefined {
  const header = call.header('traceparent');
  const trace = header === undefined ? undefined : parseTraceparent(header);
  return trace === undefined ? undefined : formatTraceparent(childTrace(trace, random));
}

function lostMidway({ instance }: Target, cause: TroupeError): TroupeError {
  return new TroupeError(
    'ABORTED',
    'OUTCOME_UNKNOWN',
    `node "${instance.nodeId}" was lost while agent "${instance.id}" streamed the task: it may have run to its end`,
    {
      metadata: { agent_id: instance.id, node_id: instance.nodeId },
      cause,
    },
  );
}
