import { TroupeError } from '../core/errors.js';

/** Of a process that holds no lease, or has never seen the cluster: it can register nothing, or cannot tell who is there. */
export function notJoined(): TroupeError {
  return new TroupeError(
    'UNAVAILABLE',
    'NOT_JOINED',
    'this process has no part in the cluster now: it does not reach the registry; try again',
    { metadata: { started: 'false' }, retryAfterMs: 1_000 },
  );
}
