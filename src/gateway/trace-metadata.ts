import { Metadata } from 'nice-grpc';
import type { Call } from '../rpc/call.js';

/** What a call that is forwarded takes along, so that its trace goes on where it is answered. */
export function traceMetadata({ traceparent }: Call): Metadata {
  return Metadata(traceparent === undefined ? {} : { traceparent });
}
