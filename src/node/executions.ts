import type { Clock } from '../core/clock.js';
import { codeOf, isTroupeError } from '../core/errors.js';
import type { Turn } from '../runtime/turn.js';
import { INSTRUMENTS } from '../telemetry/instruments.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';
import { type Hop, SpanKind, type Tracing } from '../telemetry/tracing.js';

export interface ExecutionsDeps {
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
  readonly clock: Clock;
}

/** A task that has come to an agent of this node. */
export interface Arrival {
  readonly kind: string;
  readonly agentId: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly trace: TraceHeaders | undefined;
}

/** Measures what the agents of a node do with their tasks, and makes the spans of that. */
export class Executions {
  constructor(private readonly deps: ExecutionsDeps) {}

  /** Hands a task to its agent with `execute`, which gets the part of the trace that it is. @throws what that throws: it was not let in. */
  begin({ kind, agentId, taskId, attempt, trace }: Arrival, execute: (hop: Hop | undefined) => Turn): Turn {
    const { metrics, tracing } = this.deps;
    const hop = tracing?.begin(`troupe.agent ${kind}`, {
      kind: SpanKind.SERVER,
      parent: trace,
      attributes: {
        'troupe.agent.id': agentId,
        'troupe.agent.kind': kind,
        'troupe.task.id': taskId,
        'troupe.task.attempt': attempt,
      },
    });
    let turn: Turn;
    try {
      turn = execute(hop);
    } catch (error) {
      hop?.end(error);
      metrics?.counter(INSTRUMENTS.executionRefused, isTroupeError(error) ? error.reason : 'INTERNAL').add();
      throw error;
    }
    if (hop === undefined && metrics === undefined) return turn;
    const ended = (error?: unknown) => {
      hop?.end(error);
      if (metrics !== undefined) this.measure(metrics, kind, turn, error);
    };
    turn.result.then(() => ended(), ended);
    return turn;
  }

  private measure(metrics: Metrics, kind: string, { arrivedAtMs, begunAtMs }: Turn, error: unknown): void {
    const nowMs = this.deps.clock.monotonicMs();
    const code = error === undefined ? 'OK' : codeOf(error);
    metrics.histogram(INSTRUMENTS.executionDuration, kind, code).record((nowMs - arrivedAtMs) / 1_000);
    if (begunAtMs !== undefined) metrics.histogram(INSTRUMENTS.executionWait, kind).record((begunAtMs - arrivedAtMs) / 1_000);
  }
}
