import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { isTroupeError, messageOf } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { formatTraceparent, isUnsampled, parseTraceparent, UnsampledTraces } from './trace-context.js';
import type { TraceHeaders } from './trace-headers.js';

export { SpanKind } from '@opentelemetry/api';

export interface HopOptions {
  readonly kind: SpanKind;
  /** What whoever asked sent along; undefined, or without a `traceparent`: a trace begins here. */
  readonly parent: TraceHeaders | undefined;
  readonly attributes?: Attributes;
}

/** A part of a trace that this process adds, and the headers that go on from here. */
export interface Hop extends TraceHeaders {
  readonly traceparent: string;
  /** Undefined where the trace is not sampled. */
  readonly span: Span | undefined;
  /** Does `work` as this part of the trace, so that spans that it makes are below it. */
  run<T>(work: () => T): T;
  /** It is over, by `error` where one is given. */
  end(error?: unknown): void;
}

/** Set while a root span is made that was chosen already. */
export const CHOSEN = Symbol('troupe: sampled');

/**
 * Makes spans, of OpenTelemetry. Whether a trace is sampled is decided once, where it begins, and goes with it (W3C Trace Context, flag
 * `sampled`): a trace that is not costs a few random digits at its beginning, and nothing after it.
 */
export class Tracing {
  private readonly unsampled: UnsampledTraces;

  /** `ratio`: the part of all traces that is sampled, 0 to 1. */
  constructor(
    private readonly tracer: Tracer,
    private readonly ratio: number,
    private readonly random: Random,
  ) {
    this.unsampled = new UnsampledTraces(random);
  }

  /** Undefined where the caller has decided that its trace is not sampled: what it sent goes on as it is. */
  begin(name: string, { kind, parent, attributes }: HopOptions): Hop | undefined {
    const traceparent = parent?.traceparent;
    if (traceparent !== undefined && isUnsampled(traceparent)) return undefined;
    const remote = traceparent === undefined ? undefined : parseTraceparent(traceparent);
    if (remote === undefined) return this.beginTrace(name, kind, attributes, parent?.baggage);
    if (!isSampled(remote.flags)) return undefined;
    const { tracestate, baggage } = parent as TraceHeaders;
    const traceState = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) };
    const parentContext = trace.setSpanContext(ROOT_CONTEXT, { ...spanContextOf(remote), ...traceState });
    const span = this.tracer.startSpan(name, { kind, ...(attributes && { attributes }) }, parentContext);
    return new SampledHop(span, tracestate, baggage);
  }

  /** As `begin`, for what begins no trace of its own: undefined also where there is no trace to go on with. */
  follow(name: string, options: HopOptions): Hop | undefined {
    const traceparent = options.parent?.traceparent;
    if (traceparent === undefined || parseTraceparent(traceparent) === undefined) return undefined;
    return this.begin(name, options);
  }

  private beginTrace(name: string, kind: SpanKind, attributes: Attributes | undefined, baggage: string | undefined): Hop {
    if (this.random.next() >= this.ratio) return new UnsampledHop(this.unsampled.next(), baggage);
    const chosen = ROOT_CONTEXT.setValue(CHOSEN, true);
    const span = this.tracer.startSpan(name, { kind, root: true, ...(attributes && { attributes }) }, chosen);
    return new SampledHop(span, undefined, baggage);
  }
}

/** What tells an rpc, by OpenTelemetry's conventions for gRPC (1.45); `method`: `package.Service/Method`. */
export function rpcAttributes(method: string): Attributes {
  return { 'rpc.system.name': 'grpc', 'rpc.method': method };
}

/** Of how an rpc ended, by its gRPC code. */
export function endRpc(hop: Hop, code: string, error?: unknown): void {
  hop.span?.setAttribute('rpc.response.status_code', code);
  hop.end(error);
}

/** Makes the span of a call that a program makes, under the span that it is in and with its baggage: nothing where the program has no OpenTelemetry. */
export function beginClientHop(name: string, attributes: Attributes): Hop | undefined {
  const span = trace.getTracer('troupe').startSpan(name, { kind: SpanKind.CLIENT, attributes });
  const { traceState } = span.spanContext();
  if (!trace.isSpanContextValid(span.spanContext())) return undefined;
  const injected: Record<string, string> = {};
  propagation.inject(context.active(), injected);
  return new SampledHop(span, traceState?.serialize() || undefined, injected.baggage);
}

/** The span that an agent's author gets where there is none that records: of the trace, if there is one. */
export function silentSpan(traceparent: string | undefined): Span {
  const parsed = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  return trace.wrapSpanContext(parsed === undefined ? NO_SPAN : spanContextOf(parsed));
}

/** Ids of a trace, for log lines; undefined without one. */
export function traceFields(
  traceparent: string | undefined,
): { readonly trace_id: string; readonly span_id: string } | undefined {
  const parsed = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  return parsed === undefined ? undefined : { trace_id: parsed.traceId, span_id: parsed.spanId };
}

class SampledHop implements Hop {
  readonly traceparent: string;
  private readonly context: Context;

  constructor(
    readonly span: Span,
    readonly tracestate: string | undefined,
    readonly baggage: string | undefined,
  ) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceparent = formatTraceparent({ traceId, spanId, flags: traceFlags.toString(16).padStart(2, '0') });
    const carried = baggage === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { baggage });
    this.context = trace.setSpan(carried, span);
  }

  run<T>(work: () => T): T {
    return context.with(this.context, work);
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: isTroupeError(error) ? messageOf(error) : 'internal error' });
      this.span.setAttribute('error.type', isTroupeError(error) ? error.reason : 'INTERNAL');
    }
    this.span.end();
  }
}

class UnsampledHop implements Hop {
  readonly span = undefined;
  readonly tracestate = undefined;

  constructor(
    readonly traceparent: string,
    readonly baggage: string | undefined,
  ) {}

  run<T>(work: () => T): T {
    return work();
  }

  end(): void {}
}

function isSampled(flags: string): boolean {
  return (Number.parseInt(flags, 16) & 1) === 1;
}

function spanContextOf({ traceId, spanId, flags }: { traceId: string; spanId: string; flags: string }): SpanContext {
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

const NO_SPAN: SpanContext = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 };
