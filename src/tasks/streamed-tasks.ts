import { invalidArgument, invalidFields, TroupeError } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { Target } from '../discovery/view.js';
import {
  type RoutedRunStreamRequest,
  type RoutedRunStreamResponse,
  RoutedStreamTaskRequest,
  type RoutedStreamTaskResponse,
  type RoutedTaskEvent,
} from '../gen/troupe/internal/v1/routed.js';
import type { StreamResume } from '../gen/troupe/v1/tasks.js';
import type { Call } from '../rpc/call.js';
import { durationFromMs, msFromDuration } from '../rpc/codec/time.js';
import { outcomeOf, verdictOf } from '../upstream/outcome.js';
import type { Route } from '../upstream/route.js';
import type { Verdict } from '../upstream/verdict.js';
import { ABANDONED, REACHED, SUCCEEDED } from '../upstream/verdict.js';
import { placeOf } from './executor.js';
import { isLost, StreamReader } from './stream-reader.js';
import { orderTask, type TaskOrder } from './task-order.js';
import {
  defaultAnswer,
  loadFromMessage,
  orderContext,
  requestFor,
  type TasksDeps,
  traceparentOf,
  withFallbacks,
} from './task-routing.js';

/** How long a stream may go on without a reader. */
export const MAX_RESUME_WINDOW_MS = 300_000;
/** Streams of which it is known where they went; the oldest are forgotten first. */
const MAX_REMEMBERED = 10_000;

type Event = NonNullable<RoutedTaskEvent['event']>;

/** A stream that an agent has begun. */
interface Begun {
  readonly target: Target;
  readonly attempt: number;
  readonly first: IteratorResult<RoutedStreamTaskResponse>;
  readonly rest: AsyncIterator<RoutedStreamTaskResponse>;
}

/** Tasks.RunStream. */
export class StreamedTasks {
  /** Where streams went, by task id, for callers that lost their connection before they learned it. */
  private readonly nodes = new Map<string, string>();

  constructor(private readonly deps: TasksDeps) {}

  run(request: RoutedRunStreamRequest, call: Call): AsyncIterable<RoutedRunStreamResponse> {
    if (request.resume !== undefined) return this.resume(request, request.resume, call);
    this.deps.admission.admitCaller(call);
    const windowMs = resumeWindowMs(request);
    const order = orderTask(request.task, orderContext(this.deps, call));
    return this.begin(order, windowMs, call);
  }

  private async *begin(order: TaskOrder, windowMs: number, call: Call): AsyncGenerator<RoutedRunStreamResponse, void, undefined> {
    const course = new Course(this.deps, order, windowMs, call);
    const wrap = (cursor: bigint, event: Event): RoutedRunStreamResponse => ({
      event: { taskId: order.task.id, cursor, time: new Date(this.deps.clock.now()), event },
    });
    try {
      yield wrap(course.cursor, { $case: 'accepted', value: {} });
      for (let again = true; again; ) {
        again = false;
        const begun = await course.next();
        if (begun === undefined) {
          const answer = defaultAnswer(this.deps, order);
          if (answer !== undefined) yield wrap(course.cursor + 1n, { $case: 'result', value: answer });
          return;
        }
        if (windowMs > 0) this.remember(order.task.id, begun.target.instance.nodeId);
        try {
          for (let step = begun.first; step.done !== true; step = await begun.rest.next()) {
            const event = course.take(step.value);
            if (event !== undefined) yield wrap(course.cursor, event);
          }
          course.ended(SUCCEEDED);
        } catch (error) {
          again = course.failed(error);
        }
      }
    } finally {
      await course.leave();
    }
  }

  private async *resume(
    { task }: RoutedRunStreamRequest,
    { taskId, nodeId: given, afterCursor }: StreamResume,
    call: Call,
  ): AsyncGenerator<RoutedRunStreamResponse, void, undefined> {
    if (task !== undefined) throw invalidArgument('task', 'must not be given with resume: the task is there already');
    const wrong = [idViolation('resume.task_id', taskId), given === '' ? undefined : idViolation('resume.node_id', given)].filter(
      (violation) => violation !== undefined,
    );
    if (wrong.length > 0) throw invalidFields(wrong);
    const nodeId = given === '' ? this.nodes.get(taskId) : given;
    const node = nodeId === undefined ? undefined : this.deps.view.catalog.get({ service: NODE_SERVICE, id: nodeId });
    if (node === undefined) throw unknownStream(taskId, nodeId);
    const { executor, clock } = this.deps;
    const reader = new StreamReader(this.deps, MAX_RESUME_WINDOW_MS, call);
    const request = RoutedStreamTaskRequest.fromPartial({ task: { id: taskId }, resumeAfter: afterCursor });
    // The deadline is the task's, which its node keeps.
    const options = {
      deadlineMs: Number.isFinite(call.deadlineMs) ? call.deadlineMs : clock.now() + 3_600_000,
      traceparent: undefined,
    };
    const events = executor.stream(placeOf(node), request, { ...options, signal: reader.signal })[Symbol.asyncIterator]();
    reader.reads(events);
    try {
      for (let step = await events.next(); step.done !== true; step = await events.next()) {
        const { cursor, event } = step.value;
        if (event === undefined) continue;
        yield { event: { taskId, cursor, time: new Date(clock.now()), event } };
      }
      reader.ended();
    } catch (error) {
      reader.ended();
      throw error instanceof TroupeError && outcomeOf(error) === 'unknown' ? lostMidway(node.instance, error) : error;
    } finally {
      await reader.leave();
    }
  }

  private remember(taskId: string, nodeId: string): void {
    this.nodes.delete(taskId);
    this.nodes.set(taskId, nodeId);
    if (this.nodes.size <= MAX_REMEMBERED) return;
    const [oldest] = this.nodes.keys();
    if (oldest !== undefined) this.nodes.delete(oldest);
  }
}

/** One streamed task on its way, from agent to agent until one has given a part of the result. */
class Course {
  /** Of the last event. */
  cursor = 1n;
  private hasChunks = false;
  private tries = 0;
  private begun:
    | { readonly stream: Begun; readonly release: ReturnType<TasksDeps['router']['hold']>; readonly startedAtMs: number }
    | undefined;
  private fallback = '';
  private load: RoutedStreamTaskResponse['load'];
  private route: Route<Begun> | undefined;
  private readonly reader: StreamReader;
  private readonly options: { readonly deadlineMs: number; readonly traceparent: string | undefined };

  constructor(
    private readonly deps: TasksDeps,
    private readonly order: TaskOrder,
    private readonly windowMs: number,
    private readonly call: Call,
  ) {
    this.reader = new StreamReader(deps, windowMs, call);
    this.options = { deadlineMs: order.route.deadlineMs, traceparent: traceparentOf(deps, call) };
    call.onCancel((error) => {
      // Whoever may come back finds it begun.
      if (!isLost(error, windowMs)) this.route?.cancel(error);
    });
  }

  /** The next agent that has begun; undefined where a default answer stands for it. */
  async next(): Promise<Begun | undefined> {
    const done = await withFallbacks(this.deps, this.order, orderContext(this.deps, this.call), (order) => this.send(order));
    if (done === undefined) return undefined;
    this.fallback = done.fallback;
    const stream = done.value;
    this.tries = stream.attempt;
    this.route = undefined;
    this.reader.reads(stream.rest);
    this.begun = { stream, release: this.deps.router.hold(stream.target), startedAtMs: this.deps.clock.monotonicMs() };
    return stream;
  }

  /** What the caller sees of a message; undefined for one of a newer contract. */
  take({ event, cursor, load }: RoutedStreamTaskResponse): Event | undefined {
    if (event === undefined) return undefined;
    // A node that was written against an older contract does not count.
    this.cursor = cursor > this.cursor ? cursor : this.cursor + 1n;
    if (event.$case === 'chunk') this.hasChunks = true;
    if (event.$case !== 'result') return event;
    this.load = load;
    return this.fallback === '' ? event : { ...event, value: { ...event.value, fallbackCapability: this.fallback } };
  }

  ended(verdict: Verdict): void {
    this.reader.ended();
    this.begun?.release(verdict, loadFromMessage(this.load));
    this.begun = undefined;
  }

  /** Takes in the end of a stream that gave no result. Gives whether it begins anew elsewhere. @throws otherwise. */
  failed(error: unknown): boolean {
    const { begun } = this;
    if (!(error instanceof TroupeError) || begun === undefined) {
      this.ended(ABANDONED);
      throw error;
    }
    const outcome = outcomeOf(error);
    this.ended(verdictOf(error, outcome, this.deps.clock.monotonicMs() - begun.startedAtMs));
    if (outcome !== 'unknown' || this.call.cancelled) throw error;
    const { idempotent, retry } = this.order.route;
    const again = idempotent && !this.hasChunks && this.tries < retry.maxAttempts && this.deps.router.mayRepeat(this.order.route);
    if (!again) throw lostMidway(begun.stream.target.instance, error);
    return true;
  }

  leave(): Promise<void> {
    // Its caller has gone while it ran, or nothing is left to account.
    this.begun?.release(ABANDONED);
    this.begun = undefined;
    return this.reader.leave();
  }

  private send({ task, route }: TaskOrder): Promise<Begun> {
    const { deps, options, windowMs, tries } = this;
    const extra = {
      firstCursor: this.cursor + 1n,
      resumeWindow: windowMs === 0 ? undefined : durationFromMs(windowMs),
      resumeAfter: undefined,
    };
    const retry = { ...route.retry, maxAttempts: route.retry.maxAttempts - tries, hedgingDelayMs: undefined };
    this.route = deps.router.route<Begun>(
      { ...route, retry },
      (target, attempt) => {
        const controller = new AbortController();
        const abort = (error: TroupeError) => controller.abort(error);
        const signal = AbortSignal.any([controller.signal, this.reader.signal]);
        const request = { ...requestFor(deps, task, target, tries + attempt), ...extra };
        const rest = deps.executor.stream(placeOf(target), request, { ...options, signal })[Symbol.asyncIterator]();
        const begun = async () => ({ target, attempt: tries + attempt, first: await rest.next(), rest });
        return { response: begun(), cancel: () => abort(new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled')) };
      },
      // That it began says nothing of how it ends.
      { verdict: REACHED },
    );
    if (this.reader.signal.aborted) this.route.cancel();
    return this.route.run();
  }
}

/** @throws INVALID_ARGUMENT. */
function resumeWindowMs({ resumeWindow }: RoutedRunStreamRequest): number {
  if (resumeWindow === undefined) return 0;
  const ms = msFromDuration(resumeWindow);
  if (!(ms >= 0 && ms <= MAX_RESUME_WINDOW_MS))
    throw invalidArgument('resume_window', `must be 0 to ${MAX_RESUME_WINDOW_MS / 1000} s`);
  return ms;
}

function unknownStream(taskId: string, nodeId: string | undefined): TroupeError {
  const where =
    nodeId === undefined
      ? 'at this router; give resume.node_id from the routed event'
      : `: node "${nodeId}" has left the cluster`;
  return new TroupeError('NOT_FOUND', 'UNKNOWN_STREAM', `no stream of task "${taskId}" is known ${where}`, {
    metadata: { task_id: taskId },
  });
}

function lostMidway({ service, id, nodeId }: Instance, cause: TroupeError): TroupeError {
  const where = service === AGENT_SERVICE ? { agent_id: id, node_id: nodeId } : { node_id: id };
  return new TroupeError(
    'ABORTED',
    'OUTCOME_UNKNOWN',
    `node "${where.node_id}" was lost while an agent streamed the task: it may have run to its end`,
    { metadata: where, cause },
  );
}
