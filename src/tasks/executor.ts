import { type Endpoint, NODE_SERVICE } from '../core/instance.js';
import type { Target } from '../discovery/view.js';
import type {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
} from '../gen/troupe/internal/v1/routed.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';

export interface ExecuteOptions {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly trace: TraceHeaders | undefined;
}

/** One try under way. */
export interface Execution {
  /** Rejects with a TroupeError; `outcomeOf` says what is known then. */
  readonly response: Promise<RoutedExecuteTaskResponse>;
  /** The caller has gone: work need not go on. */
  cancel(): void;
}

/** A process that does tasks. */
export interface Place {
  readonly nodeId: string;
  readonly endpoint: Endpoint;
}

/** Where the agent of a target lives. */
export function placeOf({ instance }: Target): Place {
  return instance.service === NODE_SERVICE ? { nodeId: instance.id, endpoint: instance.endpoint } : instance;
}

/** Does tasks on agents, wherever they live. */
export interface TaskExecutor {
  execute(target: Target, request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution;
  /** The first message says that the agent took the task, the last is its result. Leaving the iteration cancels, as does `signal`. */
  stream(
    place: Place,
    request: RoutedStreamTaskRequest,
    options: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncIterable<RoutedStreamTaskResponse>;
}

/** Does tasks on the agents of this process: what a node offers to the router beside it. */
export interface LocalTasks {
  readonly nodeId: string;
  execute(request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution;
  stream(
    request: RoutedStreamTaskRequest,
    options: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncIterable<RoutedStreamTaskResponse>;
}
