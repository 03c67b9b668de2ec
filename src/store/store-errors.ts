import { type ErrorDetails, TroupeError } from '../core/errors.js';

/** The errors that the port `Store` promises, made in one place so that both stores say the same. */

export function storeUnavailable(message: string, cause?: unknown): TroupeError {
  return new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', message, { retryAfterMs: 1_000, cause });
}

export function storeClosed(): TroupeError {
  return storeUnavailable('the store was closed');
}

export function storeFull(message: string, cause?: unknown): TroupeError {
  return new TroupeError('RESOURCE_EXHAUSTED', 'STORE_FULL', message, { retryAfterMs: 5_000, cause });
}

export function leaseNotFound(leaseId?: bigint, cause?: unknown): TroupeError {
  const details: ErrorDetails = leaseId === undefined ? { cause } : { cause, metadata: { leaseId: String(leaseId) } };
  return new TroupeError('NOT_FOUND', 'LEASE_NOT_FOUND', 'the lease expired or was revoked; grant a new one', details);
}

export function compacted(message = 'the store no longer has these revisions; list again', cause?: unknown): TroupeError {
  return new TroupeError('OUT_OF_RANGE', 'COMPACTED', message, { cause });
}
