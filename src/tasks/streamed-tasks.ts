import { MAX_DEADLINE_MS } from '../core/deadline.js';
import { invalidArgument, invalidFields, TroupeError } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import { NODE_SERVICE } from '../core/instance.js';
import type { Target } from '../discovery/view.js';
import {
  type RoutedRunStreamRequest,
  type RoutedRunStreamResponse,
  RoutedStreamTaskRequest,
} from '../gen/troupe/internal/v1/routed.js';
import type { StreamResume } from '../gen/troupe/v1/tasks.js';
import type { Call } from '../rpc/call.js';
import { resumeWindowMs } from '../rpc/codec/resume-window.js';
import { outcomeOf } from '../upstream/outcome.js';
import { placeOf } from './executor.js';
import { lostMidway, StreamCourse, type StreamEvent } from './stream-course.js';
import { StreamReader } from './stream-reader.js';
import { orderTask, type TaskOrder } from './task-order.js';
import { defaultAnswer, orderContext, type TasksDeps, takeIn } from './task-routing.js';

/** Streams of which it is known where they went; the oldest are forgotten first. */
const MAX_REMEMBERED = 10_000;

/** What a stream counts as that its caller left. */
const CALLER_GONE = new TroupeError('CANCELLED', 'CANCELLED', 'the caller has gone');

/** Where a stream went. */
interface Sent {
  readonly nodeId: string;
  /** The capability that it went to instead of those required; '' where it did not. */
  readonly fallback: string;
}

/** Tasks.RunStream. */
export class StreamedTasks {
  /** By task id, for callers that lost their connection before they learned it. */
  private readonly sent = new Map<string, Sent>();

  constructor(private readonly deps: TasksDeps) {}

  run(request: RoutedRunStreamRequest, call: Call): AsyncIterable<RoutedRunStreamResponse> {
    const { resume, resumeWindow, task } = request;
    if (resume !== undefined) return this.resume(request, resume, resumeWindowMs(resumeWindow), call);
    return takeIn(this.deps, () => {
      this.deps.admission.admitCaller(call);
      return this.begin(orderTask(task, orderContext(this.deps, call)), resumeWindowMs(resumeWindow), call);
    });
  }

  private async *begin(order: TaskOrder, windowMs: number, call: Call): AsyncGenerator<RoutedRunStreamResponse, void, undefined> {
    const taskId = order.task.id;
    const onSent = (nodeId: string, fallback: string) => {
      if (windowMs > 0) this.remember(taskId, { nodeId, fallback });
    };
    const course = new StreamCourse(this.deps, order, call, { windowMs, onSent });
    const ended = this.deps.telemetry?.begin(order.route.capabilities);
    let failure: unknown = CALLER_GONE;
    try {
      yield this.wrap(taskId, course.cursor, ACCEPTED);
      for (let goesOn = true; goesOn; ) {
        goesOn = false;
        const begun = await course.next();
        if (begun === undefined) {
          const answer = defaultAnswer(this.deps, order);
          if (answer !== undefined) yield this.wrap(taskId, course.cursor + 1n, { $case: 'result', value: answer });
          break;
        }
        try {
          for (let step = begun.first; step.done !== true; step = await begun.rest.next()) {
            const event = course.take(step.value);
            if (event !== undefined) yield this.wrap(taskId, course.cursor, event);
          }
          course.ended();
        } catch (error) {
          goesOn = course.failed(error);
        }
      }
      failure = undefined;
    } catch (error) {
      failure = call.cancelled ? CALLER_GONE : error;
      throw error;
    } finally {
      ended?.(failure);
      await course.leave();
    }
  }

  private async *resume(
    { task }: RoutedRunStreamRequest,
    resume: StreamResume,
    windowMs: number,
    call: Call,
  ): AsyncGenerator<RoutedRunStreamResponse, void, undefined> {
    if (task !== undefined) throw invalidArgument('task', 'must not be given with resume: the task is there already');
    const { taskId, nodeId, afterCursor } = resume;
    const wrong = [
      idViolation('resume.task_id', taskId),
      nodeId === '' ? undefined : idViolation('resume.node_id', nodeId),
    ].filter((violation) => violation !== undefined);
    if (wrong.length > 0) throw invalidFields(wrong);
    const node = this.nodeOf(resume);
    const fallback = this.sent.get(taskId)?.fallback ?? '';
    const { executor, clock } = this.deps;
    const reader = new StreamReader({ clock }, windowMs, call);
    const request = RoutedStreamTaskRequest.fromPartial({ task: { id: taskId }, resumeAfter: afterCursor });
    // The deadline is the task's, which its node keeps.
    const deadlineMs = Number.isFinite(call.deadlineMs) ? call.deadlineMs : clock.now() + MAX_DEADLINE_MS;
    const options = { deadlineMs, trace: undefined, signal: reader.signal };
    const events = executor.stream(placeOf(node), request, options)[Symbol.asyncIterator]();
    reader.reads(events);
    try {
      let step = await events.next();
      // The router's own event, which the node does not know.
      if (afterCursor === 0n) yield this.wrap(taskId, 1n, ACCEPTED);
      for (; step.done !== true; step = await events.next()) {
        const { cursor, event } = step.value;
        if (event === undefined) continue;
        const isDegraded = event.$case === 'result' && fallback !== '';
        const told = isDegraded ? { ...event, value: { ...event.value, fallbackCapability: fallback } } : event;
        yield this.wrap(taskId, cursor, told);
      }
      reader.ended();
    } catch (error) {
      reader.ended();
      throw error instanceof TroupeError && outcomeOf(error) === 'unknown' ? lostMidway(node.instance, error) : error;
    } finally {
      await reader.leave();
    }
  }

  /** @throws NOT_FOUND / UNKNOWN_STREAM. */
  private nodeOf({ taskId, nodeId }: StreamResume): Target {
    const named = [nodeId, this.sent.get(taskId)?.nodeId ?? ''].filter((id) => id !== '');
    const { catalog } = this.deps.view;
    const node = named.map((id) => catalog.get({ service: NODE_SERVICE, id })).find((found) => found !== undefined);
    if (node === undefined) throw unknownStream(taskId, named[0]);
    return node;
  }

  private wrap(taskId: string, cursor: bigint, event: StreamEvent): RoutedRunStreamResponse {
    return { event: { taskId, cursor, time: new Date(this.deps.clock.now()), event } };
  }

  private remember(taskId: string, sent: Sent): void {
    this.sent.delete(taskId);
    this.sent.set(taskId, sent);
    if (this.sent.size <= MAX_REMEMBERED) return;
    const [oldest] = this.sent.keys();
    if (oldest !== undefined) this.sent.delete(oldest);
  }
}

const ACCEPTED: StreamEvent = { $case: 'accepted', value: {} };

function unknownStream(taskId: string, nodeId: string | undefined): TroupeError {
  const where =
    nodeId === undefined
      ? 'at this router; give resume.node_id from the routed event'
      : `on node "${nodeId}", which is not in the cluster`;
  return new TroupeError('NOT_FOUND', 'UNKNOWN_STREAM', `no stream of task "${taskId}" is known ${where}`, {
    metadata: { task_id: taskId },
  });
}
