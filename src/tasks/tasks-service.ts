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
  const streams = new StreamedTasks(deps);
  return {
    run: ({ task }, call) => runTask(deps, task, call),
    runStream: (request, call) => streams.run(request, call),
  };
}
