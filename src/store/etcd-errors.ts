import { type ServiceError, status } from '@grpc/grpc-js';
import { isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import { compacted, leaseNotFound, storeFull, storeUnavailable } from './store-errors.js';

/**
 * What etcd and its connection say, as the port's errors: the only place where they are told apart. Where the status
 * code is too coarse etcd's text decides (etcd: api/v3rpc/rpctypes/error.go).
 */
export function toStoreError(error: unknown): TroupeError {
  if (isTroupeError(error)) return error;
  const text = detailsOf(error);
  for (const [part, make] of TEXTS) if (text.includes(part)) return make(`etcd: ${text}`, error);
  const code = codeOf(error);
  const make = code === undefined ? undefined : CODES[code];
  return make === undefined ? unexpected(text, error) : make(`etcd: ${text}`, error);
}

/** etcd does not take the token (any more): it was not done, and a new token may help. */
export function isTokenRefused(error: unknown): boolean {
  const text = detailsOf(error);
  return ['invalid auth token', 'revision of auth store is old', 'user name is empty'].some((part) => text.includes(part));
}

/** etcd has authentication switched off: no token is needed. */
export function isAuthDisabled(error: unknown): boolean {
  return detailsOf(error).includes('authentication is not enabled');
}

/** The request never left this process, so doing it again cannot do it twice (texts of grpc-js). */
export function wasNotSent(error: unknown): boolean {
  const text = detailsOf(error);
  return (
    codeOf(error) === status.UNAVAILABLE &&
    (text.includes('No connection established') || text.includes('Channel closed before call'))
  );
}

/** The endpoint did not answer, or said that it cannot: another may. */
export function isEndpointFailure(error: unknown): boolean {
  const code = codeOf(error);
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED || code === status.INTERNAL || code === status.UNKNOWN;
}

/** The answer was over the channel's receive limit. */
export function isAnswerTooLarge(error: unknown): boolean {
  return codeOf(error) === status.RESOURCE_EXHAUSTED && detailsOf(error).includes('message larger than max');
}

type Make = (message: string, cause: unknown) => TroupeError;

const unavailable: Make = storeUnavailable;
const unauthenticated: Make = (message, cause) => new TroupeError('UNAUTHENTICATED', 'STORE_AUTH', message, { cause });
const denied: Make = (message, cause) => new TroupeError('PERMISSION_DENIED', 'STORE_AUTH', message, { cause });
const tooLarge: Make = (message, cause) => new TroupeError('INVALID_ARGUMENT', 'TOO_LARGE', message, { cause });

const TEXTS: readonly (readonly [part: string, make: Make])[] = [
  ['requested lease not found', (_, cause) => leaseNotFound(undefined, cause)],
  ['database space exceeded', storeFull],
  ['too many requests', storeFull],
  ['has been compacted', compacted],
  ['is a future revision', compacted],
  ['request is too large', tooLarge],
  ['message larger than max', tooLarge],
  ['permission denied', denied],
  ['invalid auth token', unauthenticated],
  ['revision of auth store is old', unauthenticated],
  ['invalid user ID or password', unauthenticated],
  ['user name is empty', unauthenticated],
];

const CODES: Partial<Record<status, Make>> = {
  [status.CANCELLED]: unavailable,
  [status.UNKNOWN]: unavailable,
  [status.DEADLINE_EXCEEDED]: unavailable,
  [status.ABORTED]: unavailable,
  [status.INTERNAL]: unavailable,
  [status.UNAVAILABLE]: unavailable,
  [status.RESOURCE_EXHAUSTED]: storeFull,
  [status.PERMISSION_DENIED]: denied,
  [status.UNAUTHENTICATED]: unauthenticated,
};

function unexpected(text: string, cause: unknown): TroupeError {
  return new TroupeError('INTERNAL', 'STORE_ERROR', `etcd: ${text}`, { cause });
}

function codeOf(error: unknown): status | undefined {
  const code = error instanceof Error ? (error as Partial<ServiceError>).code : undefined;
  return typeof code === 'number' ? code : undefined;
}

function detailsOf(error: unknown): string {
  const details = error instanceof Error ? (error as Partial<ServiceError>).details : undefined;
  return details ?? messageOf(error);
}
