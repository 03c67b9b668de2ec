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

/** A process serves a moment before it has seen the cluster: calls that come then wait for that so long. */
const FIRST_VIEW_MS = 3_000;

/** The Tasks service: the same at a node and at a gateway. */
export function tasksService(deps: TasksDeps): Handlers<typeof RoutedTasksDefinition> {
  const { view } = deps;
  const streams = new StreamedTasks(deps);
  // Whoever lost a router comes back as soon as it listens: "no such agent" or "that node has left" would be what it does not know yet.
  const firstView = () => view.until(() => view.hasSeenCluster, FIRST_VIEW_MS);
  return {
    run: async ({ task }, call) => {
      if (!view.hasSeenCluster) await firstView();
      return runTask(deps, task, call);
    },
    runStream: (request, call) => (view.hasSeenCluster ? streams.run(request, call) : runLater(request, call)),
  };

  async function* runLater(...args: Parameters<StreamedTasks['run']>) {
    await firstView();
    yield* streams.run(...args);
  }
}
