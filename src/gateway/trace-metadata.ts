import { Metadata } from 'nice-grpc';
import type { Call } from '../rpc/call.js';
import { traceEntries } from '../telemetry/trace-headers.js';

/** What goes with a call that is passed on: the trace that it belongs to, where it does. */
export function traceMetadata({ trace }: Call): Metadata {
  return Metadata(trace === undefined ? {} : traceEntries(trace));
}
