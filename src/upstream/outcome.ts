import type { TroupeError } from '../core/errors.js';

/**
 * What is known of a try that ended in an error (the classes of gRFC A6): it certainly did not start and may go elsewhere;
 * it may have run; or the agent answered, and that is the answer.
 */
export type Outcome = 'not_started' | 'unknown' | 'answered';

export function outcomeOf(error: TroupeError): Outcome {
  if (error.metadata.started === 'false') return 'not_started';
  // An error with details was written by the node; one whose reason is only its code was made by the transport.
  if (error.reason !== error.code)
    return error.reason === 'NODE_LOST' || error.reason === 'AGENT_STOPPED' ? 'unknown' : 'answered';
  switch (error.code) {
    case 'UNAVAILABLE':
      return NOT_SENT.some((start) => error.message.startsWith(start)) ? 'not_started' : 'unknown';
    case 'INTERNAL':
    case 'UNKNOWN':
    case 'CANCELLED':
      return 'unknown';
    default:
      return 'answered';
  }
}

/**
 * What grpc-js says when it had no connection to send on, and of streams that the server has refused: those it has not
 * processed (RFC 9113, 8.7), such as one that met its GOAWAY on the way.
 */
const NOT_SENT = [
  'No connection established',
  'Channel closed before call started',
  'Name resolution failed',
  'Stream refused by server',
];
