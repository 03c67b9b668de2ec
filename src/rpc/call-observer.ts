import { status } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { isTroupeError } from '../core/errors.js';
import { INSTRUMENTS } from '../telemetry/instruments.js';
import type { Counter, Histogram, Metrics } from '../telemetry/metrics.js';
import { endRpc, type Hop, rpcAttributes, SpanKind, type Tracing } from '../telemetry/tracing.js';
import type { GrpcCall } from './call.js';

export interface CallTelemetry {
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
}

/** A call under observation. */
export interface ObservedCall {
  /** It was answered: with `code`, and `error` where it failed. */
  end(code: number, error?: unknown): void;
}

/** Streams that last as long as their caller: a span of one would say nothing. */
const LASTING = /\/(Watch|WatchHealth|KeepAlive|Subscribe|Connect|ServerReflectionInfo)$/;

/** Measures the calls of one method and makes their spans. */
export class CallObserver {
  private readonly durations = new Map<number, Histogram>();
  private readonly ends = new Map<number, Counter>();
  private readonly attributes;
  private readonly tracing: Tracing | undefined;
  private readonly metrics: Metrics | undefined;
  private open = 0;

  /** `method`: `package.Service/Method`. */
  constructor(
    private readonly method: string,
    private readonly isStream: boolean,
    { metrics, tracing }: CallTelemetry,
    private readonly clock: Clock,
  ) {
    this.attributes = rpcAttributes(method);
    this.metrics = metrics;
    this.tracing = method.startsWith('troupe.v1.') && !LASTING.test(method) ? tracing : undefined;
    if (isStream) metrics?.observe(INSTRUMENTS.rpcStreams, () => [[[method], this.open]]);
  }

  begin(call: GrpcCall): ObservedCall {
    if (this.tracing !== undefined) {
      const options = { kind: SpanKind.SERVER, parent: call.sentTrace, attributes: this.attributes };
      call.hop = this.tracing.begin(this.method, options);
    }
    this.open += 1;
    return new Observed(this, this.clock, call.hop);
  }

  ended(code: number, ms: number): void {
    this.open -= 1;
    if (this.metrics === undefined) return;
    if (this.isStream) this.endOf(this.metrics, code).add();
    else this.durationOf(this.metrics, code).record(ms / 1_000);
  }

  private durationOf(metrics: Metrics, code: number): Histogram {
    const known = this.durations.get(code);
    if (known !== undefined) return known;
    const made = metrics.histogram(INSTRUMENTS.rpcDuration, this.method, nameOf(code));
    this.durations.set(code, made);
    return made;
  }

  private endOf(metrics: Metrics, code: number): Counter {
    const known = this.ends.get(code);
    if (known !== undefined) return known;
    const made = metrics.counter(INSTRUMENTS.rpcStreamsEnded, this.method, nameOf(code));
    this.ends.set(code, made);
    return made;
  }
}

class Observed implements ObservedCall {
  private readonly beganAtMs: number;

  constructor(
    private readonly observer: CallObserver,
    private readonly clock: Clock,
    private readonly hop: Hop | undefined,
  ) {
    this.beganAtMs = clock.monotonicMs();
  }

  end(code: number, error?: unknown): void {
    this.observer.ended(code, this.clock.monotonicMs() - this.beganAtMs);
    const { hop } = this;
    if (hop === undefined) return;
    if (isTroupeError(error)) hop.span?.setAttribute('troupe.reason', error.reason);
    endRpc(hop, nameOf(code), SERVER_FAULTS.has(code) ? error : undefined);
  }
}

/** What else a server answers is a matter of its caller: the span says so by its code, and is no failure. */
const SERVER_FAULTS = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

function nameOf(code: number): string {
  return status[code] ?? 'UNKNOWN';
}
