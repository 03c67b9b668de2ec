import type { Clock } from '../core/clock.js';
import { invalidArgument, TroupeError } from '../core/errors.js';
import type { TaskId } from '../core/ids.js';
import type { Payload } from '../core/payload.js';
import type { Membership } from '../discovery/membership.js';
import type {
  RoutedExecuteTaskRequest,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
  RoutedTaskResult,
} from '../gen/troupe/internal/v1/routed.js';
import type { LoadReport } from '../gen/troupe/v1/node.js';
import { TaskState } from '../gen/troupe/v1/task.js';
import { decodePayload } from '../rpc/codec/payload.js';
import { priorityFromMessage } from '../rpc/codec/priority.js';
import { resumeWindowMs } from '../rpc/codec/resume-window.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { AgentHost } from '../runtime/host.js';
import { notStarted } from '../runtime/refusals.js';
import type { TaskSink, Turn } from '../runtime/turn.js';
import type { ProcessLoad } from '../telemetry/process-load.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';
import type { Executions } from './executions.js';
import { encodeResult } from './result.js';
import { type TaskStream, TaskStreams } from './task-streams.js';

/** How a task came to this node. */
export interface TaskCall {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly trace: TraceHeaders | undefined;
}

export interface LocalTasksDeps {
  readonly nodeId: string;
  readonly host: AgentHost;
  /** Whether the node must act as if its lease were gone. */
  readonly membership: Pick<Membership, 'isFenced'>;
  readonly clock: Clock;
  /** How busy this process is. */
  readonly processLoad: { readonly current: ProcessLoad };
  /** Undefined where nothing is measured. */
  readonly executions?: Executions | undefined;
}

/** Beyond it there is no room for the messages that follow. */
const MAX_CURSOR = 2n ** 62n;

/** What one task and a streamed one have in common. */
type TaskRequest = Pick<RoutedExecuteTaskRequest, 'task' | 'attempt' | 'routerIsolated'>;

/** Does tasks on the agents of this node, for callers from outside and for the router beside them. */
export class LocalNodeTasks {
  private readonly streams: TaskStreams;

  constructor(private readonly deps: LocalTasksDeps) {
    this.streams = new TaskStreams(deps.clock);
  }

  get nodeId(): string {
    return this.deps.nodeId;
  }

  /** @throws (also as a rejection) what AgentHost.execute throws, UNAVAILABLE / NODE_FENCED, or what the agent threw. */
  execute(
    request: RoutedExecuteTaskRequest,
    call: TaskCall,
  ): { readonly response: Promise<{ result: RoutedTaskResult; load: LoadReport }>; cancel(): void } {
    const turn = this.begin(request, call);
    const response = turn.result.then((payload) => ({ result: this.result(request, turn, payload), load: this.load(request) }));
    return { response, cancel: () => turn.cancel(new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled')) };
  }

  /** @throws as `execute`, or as TaskStreams says. */
  stream(
    request: RoutedStreamTaskRequest,
    call: TaskCall & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const { task, resumeAfter, firstCursor } = request;
    const taskId = task?.id ?? '';
    const windowMs = resumeWindowMs(request.resumeWindow);
    if (firstCursor > MAX_CURSOR) throw invalidArgument('first_cursor', 'must be at most 2^62');
    if (taskId === '' && (windowMs > 0 || resumeAfter !== undefined))
      throw invalidArgument('task.id', 'is required for a stream that can be resumed');
    if (resumeAfter !== undefined) return this.streams.resume(taskId, resumeAfter, call.signal);
    const stream: TaskStream = {
      taskId,
      attempt: request.attempt || 1,
      firstCursor: firstCursor === 0n ? 1n : firstCursor,
      resumeWindowMs: windowMs,
      begin: (sink) => this.begin(request, call, sink),
      routed: () => ({
        $case: 'routed',
        value: { agentId: task?.agentId ?? '', nodeId: this.deps.nodeId, attempt: request.attempt || 1 },
      }),
      result: (turn, payload) => ({
        event: { $case: 'result', value: this.result(request, turn, payload) },
        load: this.load(request),
      }),
    };
    return this.streams.open(stream, call.signal);
  }

  /** Ends the waits of streams that nobody reads. */
  close(): void {
    this.streams.close();
  }

  private begin({ task, attempt, routerIsolated }: TaskRequest, { deadlineMs, trace }: TaskCall, sink?: TaskSink): Turn {
    if (task === undefined) throw invalidArgument('task', 'is required');
    if (task.agentId === '')
      throw invalidArgument(
        'task.agent_id',
        'is required: this call runs a task on one agent; Tasks.Run finds one by capability',
      );
    if (this.deps.membership.isFenced && !routerIsolated) {
      throw new TroupeError(
        'UNAVAILABLE',
        'NODE_FENCED',
        `node "${this.deps.nodeId}" may have lost its lease and takes no tasks until it has registered again`,
        notStarted(task.agentId),
      );
    }
    const { executions, host } = this.deps;
    const input = {
      id: task.id as TaskId,
      attempt: attempt || 1,
      requiredCapabilities: task.requiredCapabilities,
      labels: task.labels,
      // Routers refuse what they do not know; of a newer one it is as urgent as most.
      priority: priorityFromMessage(task.priority) ?? 'normal',
      payload: () => decodePayload(task.payload),
      deadlineMs: Math.min(deadlineMs, task.deadline?.getTime() ?? deadlineMs),
      trace,
    };
    const kind = executions === undefined ? undefined : host.find(task.agentId)?.manifest.kind;
    if (executions === undefined || kind === undefined) return host.execute(task.agentId, input, sink);
    const arrival = { kind, agentId: task.agentId, taskId: task.id, attempt: input.attempt, trace };
    return executions.begin(arrival, (hop) =>
      host.execute(task.agentId, hop === undefined ? input : { ...input, hop, trace: hop }, sink),
    );
  }

  private result({ task, attempt }: TaskRequest, turn: Turn, payload: Payload): RoutedTaskResult {
    return {
      taskId: turn.input.id,
      agentId: task?.agentId ?? '',
      nodeId: this.deps.nodeId,
      payload: encodeResult(payload),
      attempt: attempt || 1,
      duration: durationFromMs(this.deps.clock.monotonicMs() - turn.arrivedAtMs),
      state: TaskState.TASK_STATE_COMPLETED,
      fallbackCapability: '',
      defaultAnswer: false,
    };
  }

  private load({ task }: Pick<RoutedExecuteTaskRequest, 'task'>): LoadReport {
    const activation = this.deps.host.find(task?.agentId ?? '');
    const { eventLoopDelayMs, cpuCores } = this.deps.processLoad.current;
    return {
      inFlight: activation?.inFlight ?? 0,
      queued: activation?.queued ?? 0,
      limit: activation?.concurrencyLimit ?? 0,
      eventLoopDelayUs: Math.round(eventLoopDelayMs * 1_000),
      cpuMillis: Math.round(cpuCores * 1_000),
    };
  }
}
