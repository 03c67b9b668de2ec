import type { TroupeError } from '../core/errors.js';

/**
 * What is known of a try that ended in an error (the classes of gRFC A6): it certainly did not start and may go elsewhere;
 * it may have run; or the agent answered, and that is the answer.
 */
export type Outcome = 'not_started' | 'unknown' | 'answered';

export function outcomeOf(error: TroupeError): Outcome {
  if (error.metadata['started'] === 'false' || error.reason === 'NOT_CONNECTED') return 'not_started';
  // An error with details was written by the node; one whose reason is only its code was made by the transport.
  if (error.reason !== error.code)
    return error.reason === 'NODE_LOST' || error.reason === 'AGENT_STOPPED' ? 'unknown' : 'answered';
  switch (error.code) {
    case 'UNAVAILABLE':
      // grpc-js says so when it had no connection to send on.
      return error.message.startsWith('No connection established') ? 'not_started' : 'unknown';
    case 'INTERNAL':
    case 'UNKNOWN':
    case 'CANCELLED':
      return 'unknown';
    default:
      return 'answered';
  }
}
