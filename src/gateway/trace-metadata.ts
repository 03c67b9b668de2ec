import { Metadata } from 'nice-grpc';
import type { Call } from '../rpc/call.js';
import { traceRecord } from '../telemetry/trace-headers.js';

/** What goes with a call that is forwarded, so that its trace goes on where it is answered. */
export function traceMetadata({ trace }: Call): Metadata {
  return Metadata(traceRecord(trace));
}
