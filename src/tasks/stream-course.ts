import { TroupeError } from '../core/errors.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { Target } from '../discovery/view.js';
import {
  RoutedStreamTaskRequest,
  type RoutedStreamTaskResponse,
  type RoutedTaskEvent,
} from '../gen/troupe/internal/v1/routed.js';
import type { Call } from '../rpc/call.js';
import { durationFromMs } from '../rpc/codec/time.js';
import { outcomeOf, verdictOf } from '../upstream/outcome.js';
import type { Route } from '../upstream/route.js';
import { ABANDONED, REACHED, SUCCEEDED, type Verdict } from '../upstream/verdict.js';
import { type ExecuteOptions, placeOf } from './executor.js';
import { isLost, StreamReader } from './stream-reader.js';
import type { TaskOrder } from './task-order.js';
import { loadFromMessage, orderContext, requestFor, type TasksDeps, withFallbacks } from './task-routing.js';

export type StreamEvent = NonNullable<RoutedTaskEvent['event']>;

/** A stream that an agent has begun. */
export interface BegunStream {
  readonly target: Target;
  readonly attempt: number;
  readonly first: IteratorResult<RoutedStreamTaskResponse>;
  readonly rest: AsyncIterator<RoutedStreamTaskResponse>;
}

export interface CourseOptions {
  /** How long it goes on when its caller's connection was lost; 0: not at all. */
  readonly windowMs: number;
  /** The task is sent to a node: who comes back may find it there, also before it has begun. */
  readonly onSent: (nodeId: string, fallback: string) => void;
}

/** Broken connections to nodes that a stream survives. */
const MAX_RESUMPTIONS = 5;

/** One streamed task on its way, from agent to agent until one has given a part of the result. */
export class StreamCourse {
  /** Of the last event. */
  cursor = 1n;
  private hasChunks = false;
  private hasResult = false;
  private tries = 0;
  private resumptions = 0;
  private begun:
    | { readonly stream: BegunStream; readonly release: ReturnType<TasksDeps['router']['hold']>; readonly startedAtMs: number }
    | undefined;
  /** Whose connection broke while its node is there: it may be gone on with. */
  private broken: BegunStream | undefined;
  private fallback = '';
  private load: RoutedStreamTaskResponse['load'];
  private route: Route<BegunStream> | undefined;
  private readonly reader: StreamReader;
  private readonly options: ExecuteOptions;

  constructor(
    private readonly deps: TasksDeps,
    private readonly order: TaskOrder,
    private readonly call: Call,
    private readonly course: CourseOptions,
  ) {
    const { clock } = deps;
    this.reader = new StreamReader({ clock, onLost: () => this.release(ABANDONED) }, course.windowMs, call);
    this.options = { deadlineMs: order.route.deadlineMs, trace: call.trace };
    call.onCancel((error) => {
      // Whoever may come back finds it begun.
      if (!isLost(error, course.windowMs)) this.route?.cancel(error);
    });
  }

  /** The next agent that has begun; undefined where a default answer stands for it. */
  async next(): Promise<BegunStream | undefined> {
    const { broken } = this;
    this.broken = undefined;
    const resumed = broken === undefined ? undefined : await this.resume(broken);
    if (resumed !== undefined) return this.begin(resumed);
    const done = await withFallbacks(this.deps, this.order, orderContext(this.deps, this.call), (...way) => this.send(...way));
    if (done === undefined) return undefined;
    this.fallback = done.fallback;
    return this.begin(done.value);
  }

  /** What the caller sees of a message; undefined for one of a newer contract. */
  take({ event, cursor, load }: RoutedStreamTaskResponse): StreamEvent | undefined {
    if (event === undefined) return undefined;
    // A node that was written against an older contract does not count.
    this.cursor = cursor > this.cursor ? cursor : this.cursor + 1n;
    if (event.$case === 'chunk') this.hasChunks = true;
    if (event.$case !== 'result') return event;
    this.hasResult = true;
    this.load = load;
    return this.fallback === '' ? event : { ...event, value: { ...event.value, fallbackCapability: this.fallback } };
  }

  /** The stream from the node has ended in order. @throws INTERNAL / NO_RESULT where it did so without a result. */
  ended(): void {
    if (!this.hasResult) throw new TroupeError('INTERNAL', 'NO_RESULT', 'the stream of the task ended without a result');
    this.reader.ended();
    this.release(SUCCEEDED);
  }

  /** Takes in the end of a stream that gave no result. Gives whether it goes on, here or elsewhere. @throws otherwise. */
  failed(error: unknown): boolean {
    const { begun } = this;
    this.reader.ended();
    if (!(error instanceof TroupeError) || begun === undefined) {
      this.release(ABANDONED);
      throw error;
    }
    const outcome = outcomeOf(error);
    this.release(verdictOf(error, outcome, this.deps.clock.monotonicMs() - begun.startedAtMs));
    if (outcome !== 'unknown' || this.call.cancelled) throw error;
    if (this.mayResume(begun.stream, error)) this.broken = begun.stream;
    else this.requireAnew(begun.stream, error);
    return true;
  }

  leave(): Promise<void> {
    // Its caller has gone while it ran, or nothing is left to account.
    this.release(ABANDONED);
    return this.reader.leave();
  }

  private begin(stream: BegunStream): BegunStream {
    this.tries = stream.attempt;
    this.route = undefined;
    this.reader.reads(stream.rest);
    // A caller that has gone meanwhile may come back: until then there is nothing to account.
    if (!this.call.cancelled) {
      const release = this.deps.router.hold(stream.target);
      this.begun = { stream, release, startedAtMs: this.deps.clock.monotonicMs() };
    }
    return stream;
  }

  private release(verdict: Verdict): void {
    this.begun?.release(verdict, loadFromMessage(this.load));
    this.begun = undefined;
  }

  /** Whether only the connection to the node broke, and the node keeps the stream. */
  private mayResume({ target }: BegunStream, { reason }: TroupeError): boolean {
    if (this.course.windowMs === 0 || reason === 'NODE_LOST' || reason === 'AGENT_STOPPED') return false;
    const node = this.deps.view.catalog.get({ service: NODE_SERVICE, id: target.instance.nodeId });
    this.resumptions += 1;
    return node !== undefined && this.resumptions <= MAX_RESUMPTIONS;
  }

  /** Goes on with a stream at its node; undefined where it is gone and begins anew. @throws where it must not. */
  private async resume(stream: BegunStream): Promise<BegunStream | undefined> {
    const { deps, order, options, course } = this;
    const request = RoutedStreamTaskRequest.fromPartial({
      task: { id: order.task.id },
      resumeAfter: this.cursor,
      resumeWindow: durationFromMs(course.windowMs),
    });
    try {
      const place = placeOf(stream.target);
      const rest = deps.executor.stream(place, request, { ...options, signal: this.reader.signal })[Symbol.asyncIterator]();
      return { ...stream, first: await rest.next(), rest };
    } catch (error) {
      if (!(error instanceof TroupeError) || this.call.cancelled) throw error;
      this.requireAnew(stream, error);
      return undefined;
    }
  }

  /** @throws ABORTED / OUTCOME_UNKNOWN where the task may have run and must not run again. */
  private requireAnew({ target }: BegunStream, error: TroupeError): void {
    const { idempotent, retry } = this.order.route;
    const mayBegin = idempotent && !this.hasChunks && this.tries < retry.maxAttempts;
    if (!mayBegin || !this.deps.router.mayRepeat(this.order.route)) throw lostMidway(target.instance, error);
  }

  private send({ task, route }: TaskOrder, fallback: string): Promise<BegunStream> {
    const { deps, options, tries } = this;
    const { windowMs, onSent } = this.course;
    const extra = {
      firstCursor: this.cursor + 1n,
      resumeWindow: windowMs === 0 ? undefined : durationFromMs(windowMs),
      resumeAfter: undefined,
    };
    const retry = { ...route.retry, maxAttempts: route.retry.maxAttempts - tries, hedgingDelayMs: undefined };
    this.route = deps.router.route<BegunStream>(
      { ...route, retry },
      (target, attempt) => {
        const controller = new AbortController();
        const signal = AbortSignal.any([controller.signal, this.reader.signal]);
        const request = { ...requestFor(deps, task, target, tries + attempt), ...extra };
        onSent(target.instance.nodeId, fallback);
        const begin = (each: ExecuteOptions) => {
          const rest = deps.executor.stream(placeOf(target), request, { ...each, signal })[Symbol.asyncIterator]();
          const begun = async () => ({ target, attempt: tries + attempt, first: await rest.next(), rest });
          const cancel = () => controller.abort(new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled'));
          return { response: begun(), cancel };
        };
        const hasReader = () => !this.reader.signal.aborted;
        const tried = { capabilities: route.capabilities, attempt: tries + attempt, hasReader };
        return deps.telemetry === undefined ? begin(options) : deps.telemetry.streamAttempt(target, tried, options, begin);
      },
      // That it began says nothing of how it ends.
      { verdict: REACHED },
    );
    if (this.reader.signal.aborted) this.route.cancel();
    return this.route.run();
  }
}

export function lostMidway({ service, id, nodeId }: Instance, cause: TroupeError): TroupeError {
  const where = service === AGENT_SERVICE ? { agent_id: id, node_id: nodeId } : { node_id: id };
  return new TroupeError(
    'ABORTED',
    'OUTCOME_UNKNOWN',
    `node "${where.node_id}" was lost while an agent streamed the task: it may have run to its end`,
    { metadata: where, cause },
  );
}
