import type { Attributes } from '@opentelemetry/api';
import type { TraceOptions } from '../telemetry/trace-headers.js';
import { beginClientHop } from '../telemetry/tracing.js';

/**
 * Does a call within a span of its own, where the program has OpenTelemetry; what it calls gets that span's context with its options. Who gave a
 * `traceparent` has a span of theirs.
 */
export async function inSpan<O extends TraceOptions, T>(
  method: string,
  attributes: Attributes,
  options: O,
  call: (options: O) => Promise<T>,
): Promise<T> {
  const { hop, traced } = begin(method, attributes, options);
  if (hop === undefined) return call(options);
  try {
    const result = await call(traced);
    hop.end();
    return result;
  } catch (error) {
    hop.end(error);
    throw error;
  }
}

/** The same for a stream: the span lasts until it is read to its end, or left. */
export async function* streamInSpan<O extends TraceOptions, T>(
  method: string,
  attributes: Attributes,
  options: O,
  call: (options: O) => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const { hop, traced } = begin(method, attributes, options);
  let failure: unknown;
  try {
    yield* call(traced);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    hop?.end(failure);
  }
}

function begin<O extends TraceOptions>(method: string, attributes: Attributes, options: O) {
  const [service = '', name = ''] = method.split('/');
  const all = { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': name, ...attributes };
  const hop = options.traceparent === undefined ? beginClientHop(method, all) : undefined;
  if (hop === undefined) return { hop, traced: options };
  const { traceparent, tracestate, baggage } = hop;
  return { hop, traced: { ...options, traceparent, tracestate, baggage: options.baggage ?? baggage } };
}
