import type { Attributes } from '@opentelemetry/api';
import { codeOf } from '../core/errors.js';
import type { TraceOptions } from '../telemetry/trace-headers.js';
import { beginClientHop, endRpc, type Hop, rpcAttributes } from '../telemetry/tracing.js';

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
    end(hop);
    return result;
  } catch (error) {
    end(hop, error);
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
    if (hop !== undefined) end(hop, failure);
  }
}

/** Where the calls of a client go: `host:port`. */
export function serverAttributes(address: string): Attributes {
  const colon = address.lastIndexOf(':');
  return { 'server.address': address.slice(0, colon).replace(/^\[|\]$/g, ''), 'server.port': Number(address.slice(colon + 1)) };
}

function begin<O extends TraceOptions>(method: string, attributes: Attributes, options: O) {
  const all = { ...rpcAttributes(method), ...attributes };
  const hop = options.traceparent === undefined ? beginClientHop(method, all) : undefined;
  if (hop === undefined) return { hop, traced: options };
  const { traceparent, tracestate, baggage } = hop;
  return { hop, traced: { ...options, traceparent, tracestate, baggage: options.baggage ?? baggage } };
}

/** To a client any code but OK is a failure. */
function end(hop: Hop, error?: unknown): void {
  endRpc(hop, error === undefined ? 'OK' : codeOf(error), error);
}
