import { type Channel, Metadata as GrpcMetadata } from '@grpc/grpc-js';
import {
  type Client,
  ClientError,
  type ClientMiddleware,
  type CompatServiceDefinition,
  createClientFactory,
  type Metadata,
} from 'nice-grpc';
import { abortError, deadlineExceeded } from '../core/errors.js';
import { fromServiceError } from './status.js';

export interface TimeoutOption {
  /** The call ends with DEADLINE_EXCEEDED after this long. */
  readonly timeoutMs?: number;
}

/** A typed client of a service: control calls. Every error is a TroupeError. */
export function createClient<Service extends CompatServiceDefinition>(
  definition: Service,
  channel: Channel,
): Client<Service, TimeoutOption> {
  return factory.create(definition, channel);
}

/** Errors keep the details that came in the trailer. */
const errors: ClientMiddleware = async function* errorsMiddleware(call, options) {
  let trailer: Metadata | undefined;
  const onTrailer = (received: Metadata) => {
    trailer = received;
    options.onTrailer?.(received);
  };
  try {
    return yield* call.next(call.request, { ...options, onTrailer });
  } catch (error) {
    if (options.signal?.aborted) throw abortError(options.signal);
    if (!(error instanceof ClientError)) throw fromServiceError(error);
    throw fromServiceError({ code: error.code, details: error.details, metadata: toGrpc(trailer) });
  }
};

const timeouts: ClientMiddleware<TimeoutOption> = async function* timeoutsMiddleware(call, { timeoutMs, ...options }) {
  if (timeoutMs === undefined) return yield* call.next(call.request, options);
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(deadlineExceeded(`no answer to ${call.method.path} within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const forward = () => controller.abort(options.signal?.reason);
  if (options.signal?.aborted) forward();
  options.signal?.addEventListener('abort', forward, { once: true });
  try {
    return yield* call.next(call.request, { ...options, signal: controller.signal });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', forward);
  }
};

const factory = createClientFactory().use(errors).use(timeouts);

function toGrpc(trailer: Metadata | undefined): GrpcMetadata {
  const metadata = new GrpcMetadata();
  for (const [key, values] of trailer ?? []) {
    for (const value of values) metadata.add(key, typeof value === 'string' ? value : Buffer.from(value));
  }
  return metadata;
}
