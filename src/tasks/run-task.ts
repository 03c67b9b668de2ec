import type { RoutedExecuteTaskResponse, RoutedRunResponse, RoutedTask } from '../gen/troupe/internal/v1/routed.js';
import type { Call } from '../rpc/call.js';
import type { Route } from '../upstream/route.js';
import { type OrderContext, orderTask, type TaskOrder } from './task-order.js';
import {
  defaultAnswer,
  loadFromMessage,
  orderContext,
  requestFor,
  type TasksDeps,
  takeIn,
  withFallbacks,
} from './task-routing.js';

const TOLD = { load: ({ load }: RoutedExecuteTaskResponse) => loadFromMessage(load) };

/** Tasks.Run. */
export async function runTask(deps: TasksDeps, given: RoutedTask | undefined, call: Call): Promise<RoutedRunResponse> {
  const context = orderContext(deps, call);
  const order = takeIn(deps, () => {
    deps.admission.admitCaller(call);
    return orderTask(given, context);
  });
  const ended = deps.telemetry?.begin(order.route.capabilities);
  if (ended === undefined) return routeTask(deps, order, context, call);
  try {
    const response = await routeTask(deps, order, context, call);
    ended();
    return response;
  } catch (error) {
    ended(error);
    throw error;
  }
}

async function routeTask(deps: TasksDeps, order: TaskOrder, context: OrderContext, call: Call): Promise<RoutedRunResponse> {
  const options = { deadlineMs: order.route.deadlineMs, trace: call.trace };
  let current: Route<RoutedExecuteTaskResponse> | undefined;
  call.onCancel((error) => current?.cancel(error));
  const { telemetry } = deps;
  const send = ({ task, route }: TaskOrder) => {
    const { capabilities } = route;
    current = deps.router.route(
      route,
      (target, attempt) => {
        const request = requestFor(deps, task, target, attempt);
        if (telemetry === undefined) return deps.executor.execute(target, request, options);
        return telemetry.attempt(target, { capabilities, attempt }, options, (each) =>
          deps.executor.execute(target, request, each),
        );
      },
      TOLD,
    );
    // The caller may have gone while an earlier one was under way.
    if (call.cancelled) current.cancel();
    return current.run();
  };
  const done = await withFallbacks(deps, order, context, send);
  if (done === undefined) return { result: defaultAnswer(deps, order) };
  const { result } = done.value;
  if (result === undefined || done.fallback === '') return { result };
  return { result: { ...result, fallbackCapability: done.fallback } };
}
