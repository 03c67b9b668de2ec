import type { TroupeError } from '../core/errors.js';
import { blameOf } from '../resilience/failure.js';
import { ABANDONED, REACHED, SUCCEEDED, type Verdict } from './verdict.js';

/**
 * What is known of a try that ended in an error (the classes of gRFC A6): it certainly did not start and may go elsewhere;
 * it may have run; or the agent answered, and that is the answer.
 */
export type Outcome = 'not_started' | 'unknown' | 'answered';

export function outcomeOf(error: TroupeError): Outcome {
  if (error.metadata.started === 'false') return 'not_started';
  // An error with details was written by the node; one whose reason is only its code was made by the transport.
  if (isOfTransport(error)) return outcomeOfTransport(error);
  return error.reason === 'NODE_LOST' || error.reason === 'AGENT_STOPPED' ? 'unknown' : 'answered';
}

/** What an error tells of the agent and its node: what its outcome is for the task is another question. */
export function verdictOf(error: TroupeError, outcome: Outcome, elapsedMs: number): Verdict {
  if (error.code === 'CANCELLED') return ABANDONED;
  const reason = error.reason === error.code ? error.message : error.reason;
  if (outcome === 'answered') {
    switch (blameOf(error, elapsedMs)) {
      case 'succeeded':
        return SUCCEEDED;
      case 'failed':
        return { kind: 'failed', reason, isSilent: error.code === 'DEADLINE_EXCEEDED' };
      case 'nothing':
        // A deadline may have passed without a word from the node.
        return error.code === 'DEADLINE_EXCEEDED' ? ABANDONED : REACHED;
    }
  }
  if (error.reason === 'CIRCUIT_OPEN')
    return { kind: 'circuit_open', reason: error.message, retryAfterMs: error.retryAfterMs ?? 0 };
  if (isOfTransport(error) || error.reason === 'NOT_CONNECTED' || error.reason === 'NODE_LOST')
    return { kind: 'unreachable', reason };
  return REACHED;
}

function isOfTransport({ reason, code }: TroupeError): boolean {
  return reason === code;
}

function outcomeOfTransport({ code, message }: TroupeError): Outcome {
  switch (code) {
    case 'UNAVAILABLE':
      return NOT_SENT.some((start) => message.startsWith(start)) ? 'not_started' : 'unknown';
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
