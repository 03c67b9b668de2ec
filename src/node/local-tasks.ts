import type { Clock } from '../core/clock.js';
import { invalidArgument, messageOf, TroupeError } from '../core/errors.js';
import { FlowQueue } from '../core/flow-queue.js';
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
import { decodePayload, encodePayload } from '../rpc/codec/payload.js';
import { priorityFromMessage } from '../rpc/codec/priority.js';
import { durationFromMs } from '../rpc/codec/time.js';
import { MAX_MESSAGE_BYTES } from '../rpc/server.js';
import type { AgentHost } from '../runtime/host.js';
import { notStarted } from '../runtime/refusals.js';
import type { TaskSink, Turn } from '../runtime/turn.js';
import type { ProcessLoad } from '../telemetry/process-load.js';

/** How a task came to this node. */
export interface TaskCall {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly traceparent: string | undefined;
}

export interface LocalTasksDeps {
  readonly nodeId: string;
  readonly host: AgentHost;
  /** Whether the node must act as if its lease were gone. */
  readonly membership: Pick<Membership, 'isFenced'>;
  readonly clock: Clock;
  /** How busy this process is. */
  readonly processLoad: { readonly current: ProcessLoad };
}

/** Messages that a reader of a stream may be behind before the agent's `emit` waits. */
const STREAM_BACKLOG = 16;
/** Messages that an agent which does not wait for `emit` may be ahead of the reader before its stream fails. */
const MAX_STREAM_BACKLOG = 256;
/** What a result needs beside its payload. */
const ENVELOPE_BYTES = 1024;

/** Does tasks on the agents of this node, for callers from outside and for the router beside them. */
export class LocalNodeTasks {
  constructor(private readonly deps: LocalTasksDeps) {}

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

  async *stream(
    request: RoutedStreamTaskRequest,
    call: TaskCall & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const queue = new FlowQueue<RoutedStreamTaskResponse>(STREAM_BACKLOG, MAX_STREAM_BACKLOG, streamOverflow);
    let sequence = 0n;
    const sink: TaskSink = {
      chunk: (payload) => {
        sequence += 1n;
        return queue.send({
          event: { $case: 'chunk', value: { sequence, payload: encodeBounded(payload) } },
          cursor: 0n,
          load: undefined,
        });
      },
      progress: (fraction, note) =>
        queue.send({ event: { $case: 'progress', value: { fraction, note } }, cursor: 0n, load: undefined }),
    };
    const turn = this.begin(request, call, sink);
    const cancel = () =>
      turn.cancel(
        call.signal.reason instanceof TroupeError
          ? call.signal.reason
          : new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled'),
      );
    call.signal.addEventListener('abort', cancel, { once: true });
    if (call.signal.aborted) cancel();
    turn.result.then(
      (payload) => {
        try {
          void queue.send({
            event: { $case: 'result', value: this.result(request, turn, payload) },
            cursor: 0n,
            load: undefined,
          });
          queue.close();
        } catch (error) {
          queue.fail(error);
        }
      },
      (error: unknown) => queue.fail(error),
    );
    try {
      // Until the agent takes it from its mailbox, the task can be refused as one that has not started.
      await Promise.race([turn.begins, turn.result]);
      yield {
        event: {
          $case: 'routed',
          value: { agentId: request.task?.agentId ?? '', nodeId: this.deps.nodeId, attempt: request.attempt || 1 },
        },
        cursor: 0n,
        load: undefined,
      };
      yield* queue;
    } finally {
      call.signal.removeEventListener('abort', cancel);
      turn.cancel(new TroupeError('CANCELLED', 'CANCELLED', 'the reader of the stream has gone'));
    }
  }

  private begin(
    { task, attempt, routerIsolated }: RoutedExecuteTaskRequest,
    { deadlineMs, traceparent }: TaskCall,
    sink?: TaskSink,
  ): Turn {
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
    return this.deps.host.execute(
      task.agentId,
      {
        id: task.id as TaskId,
        attempt: attempt || 1,
        requiredCapabilities: task.requiredCapabilities,
        labels: task.labels,
        // Routers refuse what they do not know; of a newer one it is as urgent as most.
        priority: priorityFromMessage(task.priority) ?? 'normal',
        payload: () => decodePayload(task.payload),
        deadlineMs: Math.min(deadlineMs, task.deadline?.getTime() ?? deadlineMs),
        traceparent,
      },
      sink,
    );
  }

  private result({ task, attempt }: RoutedExecuteTaskRequest, turn: Turn, payload: Payload): RoutedTaskResult {
    return {
      taskId: turn.input.id,
      agentId: task?.agentId ?? '',
      nodeId: this.deps.nodeId,
      payload: encodeBounded(payload),
      attempt: attempt || 1,
      duration: durationFromMs(this.deps.clock.monotonicMs() - turn.arrivedAtMs),
      state: TaskState.TASK_STATE_COMPLETED,
      fallbackCapability: '',
      defaultAnswer: false,
    };
  }

  private load({ task }: RoutedExecuteTaskRequest): LoadReport {
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

function streamOverflow(): TroupeError {
  return new TroupeError(
    'RESOURCE_EXHAUSTED',
    'STREAM_OVERFLOW',
    `the agent is ${MAX_STREAM_BACKLOG} chunks ahead of the reader: it must await ctx.emit() and ctx.progress()`,
  );
}

/** @throws INTERNAL / RESULT_NOT_JSON, RESOURCE_EXHAUSTED / RESULT_TOO_LARGE: the agent's result cannot travel. */
function encodeBounded(payload: Payload): Buffer {
  let bytes: Buffer;
  try {
    bytes = encodePayload(payload);
  } catch (error) {
    throw new TroupeError('INTERNAL', 'RESULT_NOT_JSON', `what the agent returned cannot be sent: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (bytes.length <= MAX_MESSAGE_BYTES - ENVELOPE_BYTES) return bytes;
  throw new TroupeError(
    'RESOURCE_EXHAUSTED',
    'RESULT_TOO_LARGE',
    `the agent's result has ${bytes.length} bytes; at most ${MAX_MESSAGE_BYTES - ENVELOPE_BYTES} can be sent: stream it in chunks`,
  );
}
