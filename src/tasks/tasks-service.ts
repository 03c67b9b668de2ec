import { firstView } from '../discovery/first-view.js';
import {
  RoutedRunRequest,
  RoutedRunResponse,
  RoutedRunStreamRequest,
  RoutedRunStreamResponse,
} from '../gen/troupe/internal/v1/routed.js';
import { TasksDefinition } from '../gen/troupe/v1/tasks.js';
import { type Handlers, withTypes } from '../rpc/service.js';
import { runTask } from './run-task.js';
import { StreamedTasks } from './streamed-tasks.js';
import type { TasksDeps } from './task-routing.js';

/** Tasks as routers see it: payloads stay encoded. */
export const RoutedTasksDefinition = withTypes(TasksDefinition, {
  run: { requestType: RoutedRunRequest, responseType: RoutedRunResponse },
  runStream: { requestType: RoutedRunStreamRequest, responseType: RoutedRunStreamResponse },
});

/** The Tasks service: the same at a node and at a gateway. */
export function tasksService(deps: TasksDeps): Handlers<typeof RoutedTasksDefinition> {
  const { view, telemetry } = deps;
  const streams = new StreamedTasks(deps);
  return {
    run: async ({ task }, call) => {
      if (!view.hasSeenCluster) await seen();
      return runTask(deps, task, call);
    },
    runStream: (request, call) => (view.hasSeenCluster ? streams.run(request, call) : runLater(request, call)),
  };

  async function* runLater(...args: Parameters<StreamedTasks['run']>) {
    await seen();
    yield* streams.run(...args);
  }

  /** @throws NOT_JOINED, before a fallback or a default answer stands for agents that may well be there. */
  async function seen(): Promise<void> {
    try {
      await firstView(view);
    } catch (error) {
      telemetry?.refused(error);
      throw error;
    }
  }
}
