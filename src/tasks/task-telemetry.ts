import type { Clock } from '../core/clock.js';
import { codeOf, isTroupeError, TroupeError } from '../core/errors.js';
import type { Target } from '../discovery/view.js';
import { INSTRUMENTS } from '../telemetry/instruments.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';
import { SpanKind, type Tracing } from '../telemetry/tracing.js';
import { isRateLimited } from '../upstream/admission.js';
import { outcomeOf } from '../upstream/outcome.js';
import type { Try } from '../upstream/route.js';

export interface TaskTelemetryDeps {
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
  readonly clock: Clock;
  /** Whether some agent offers a capability. */
  readonly isOffered: (capability: string) => boolean;
}

interface Tracked {
  readonly trace: TraceHeaders | undefined;
}

/** Measures the tasks of a router and its tries, and makes the spans of the tries. */
export class TaskTelemetry {
  private inFlight = 0;

  constructor(private readonly deps: TaskTelemetryDeps) {
    deps.metrics?.observe(INSTRUMENTS.taskInFlight, () => this.inFlight);
  }

  /** A task was refused by this router itself. */
  refused(error: unknown): void {
    this.deps.metrics?.counter(INSTRUMENTS.taskRefused, isTroupeError(error) ? error.reason : 'INTERNAL').add();
  }

  /** A task begins. Gives how to tell its end: with its error, where it failed. */
  begin(capabilities: readonly string[]): (error?: unknown) => void {
    const { metrics, clock, isOffered } = this.deps;
    const beganAtMs = clock.monotonicMs();
    // Names that nobody offers are whatever callers make up, also where a fallback does the task; so are sets that no agent has.
    const known = capabilities.every(isOffered) ? capabilityLabel(capabilities) : UNKNOWN;
    this.inFlight += 1;
    return (error) => {
      this.inFlight -= 1;
      if (metrics === undefined) return;
      if (isRateLimited(error)) {
        this.refused(error);
        return;
      }
      const code = error === undefined ? 'OK' : codeOf(error);
      const label = isTroupeError(error, 'NO_AGENT') ? UNKNOWN : known;
      metrics.histogram(INSTRUMENTS.taskDuration, label, code).record((clock.monotonicMs() - beganAtMs) / 1_000);
    };
  }

  /** Does one try with `send`, which gets the trace context that goes with it. */
  attempt<T, O extends Tracked>(target: Target, tried: Tried, options: O, send: (options: O) => Try<T>): Try<T> {
    return this.track(target, tried, options, send, (sent, ended) => {
      sent.response.then(() => ended(), ended);
      return sent;
    });
  }

  /** The same for a try that answers with a stream: it ends with that. What it meets once its reader has left is no failure of it. */
  streamAttempt<T extends Stream, O extends Tracked>(
    target: Target,
    tried: Tried & { readonly hasReader: () => boolean },
    options: O,
    send: (options: O) => Try<T>,
  ): Try<T> {
    return this.track(target, tried, options, send, (sent, tell) => {
      const ended = (error?: unknown) => tell(error === undefined || tried.hasReader() ? error : LEFT);
      const response = sent.response.then(
        (stream) => {
          if (stream.first.done === true) ended();
          return { ...stream, rest: telling(stream.rest, ended) };
        },
        (error: unknown) => {
          ended(error);
          throw error;
        },
      );
      return { response, cancel: () => sent.cancel() };
    });
  }

  private track<T, O extends Tracked>(
    { instance }: Target,
    { capabilities, attempt }: Tried,
    options: O,
    send: (options: O) => Try<T>,
    watch: (sent: Try<T>, ended: (error?: unknown) => void) => Try<T>,
  ): Try<T> {
    const { metrics, tracing } = this.deps;
    const hop = tracing?.begin('troupe.task.attempt', {
      kind: SpanKind.CLIENT,
      parent: options.trace,
      attributes: {
        'troupe.agent.id': instance.id,
        'troupe.node.id': instance.nodeId,
        'troupe.task.attempt': attempt,
      },
    });
    let isOver = false;
    const ended = (error?: unknown) => {
      if (isOver) return;
      isOver = true;
      hop?.end(error);
      metrics?.counter(INSTRUMENTS.taskAttempts, capabilityLabel(capabilities), outcomeLabel(error)).add();
    };
    try {
      return watch(send(hop === undefined ? options : { ...options, trace: hop }), ended);
    } catch (error) {
      ended(error);
      throw error;
    }
  }
}

interface Tried {
  readonly capabilities: readonly string[];
  readonly attempt: number;
}

interface Stream {
  readonly first: IteratorResult<unknown>;
  readonly rest: AsyncIterator<unknown>;
}

/** A stream that tells its end: by an error, or because its reader left it. */
function telling<T>(stream: AsyncIterator<T>, ended: (error?: unknown) => void): AsyncIterator<T> {
  return {
    async next() {
      try {
        const step = await stream.next();
        if (step.done === true) ended();
        return step;
      } catch (error) {
        ended(error);
        throw error;
      }
    },
    async return() {
      ended(LEFT);
      await stream.return?.();
      return { done: true, value: undefined };
    },
  };
}

const LEFT = new TroupeError('CANCELLED', 'CANCELLED', 'the caller has gone');
const UNKNOWN = 'unknown';

/** Of a task that is for one agent, or for any that has all of the capabilities, whatever their order. */
function capabilityLabel(capabilities: readonly string[]): string {
  const [first = 'by_id', ...others] = capabilities;
  return others.length === 0 ? first : [...capabilities].sort().join('+');
}

function outcomeLabel(error: unknown): string {
  if (error === undefined) return 'completed';
  if (!isTroupeError(error)) return 'failed';
  return error.code === 'CANCELLED' ? 'canceled' : outcomeOf(error);
}
