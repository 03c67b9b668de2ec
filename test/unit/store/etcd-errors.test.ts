import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, it } from '@jest/globals';
import { invalidArgument } from '../../../src/core/errors.js';
import { isAnswerTooLarge, isEndpointFailure, isTokenRefused, toStoreError, wasNotSent } from '../../../src/store/etcd-errors.js';

function grpcError(code: status, details: string): Error {
  return Object.assign(new Error(`${code} ${status[code]}: ${details}`), { code, details, metadata: new Metadata() });
}

describe('toStoreError', () => {
  it.each<[status, string, string, string]>([
    [status.UNAVAILABLE, 'No connection established. Last error: ECONNREFUSED', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.UNAVAILABLE, 'etcdserver: no leader', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.UNAVAILABLE, 'etcdserver: request timed out', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.CANCELLED, 'Call cancelled', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.INTERNAL, 'Received RST_STREAM with code 2', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.UNKNOWN, 'context canceled', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
    [status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', 'RESOURCE_EXHAUSTED', 'STORE_FULL'],
    [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', 'RESOURCE_EXHAUSTED', 'STORE_FULL'],
    [status.NOT_FOUND, 'etcdserver: requested lease not found', 'NOT_FOUND', 'LEASE_NOT_FOUND'],
    [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted', 'OUT_OF_RANGE', 'COMPACTED'],
    [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision', 'OUT_OF_RANGE', 'COMPACTED'],
    [status.INVALID_ARGUMENT, 'etcdserver: request is too large', 'INVALID_ARGUMENT', 'TOO_LARGE'],
    [status.RESOURCE_EXHAUSTED, 'grpc: received message larger than max', 'INVALID_ARGUMENT', 'TOO_LARGE'],
    [status.UNAUTHENTICATED, 'etcdserver: invalid auth token', 'UNAUTHENTICATED', 'STORE_AUTH'],
    [status.INVALID_ARGUMENT, 'etcdserver: authentication failed, invalid user ID or password', 'UNAUTHENTICATED', 'STORE_AUTH'],
    [status.INVALID_ARGUMENT, 'etcdserver: user name is empty', 'UNAUTHENTICATED', 'STORE_AUTH'],
    [status.PERMISSION_DENIED, 'etcdserver: permission denied', 'PERMISSION_DENIED', 'STORE_AUTH'],
    [status.INVALID_ARGUMENT, 'etcdserver: something new', 'INTERNAL', 'STORE_ERROR'],
  ])('makes %d "%s" %s / %s', (code, details, expected, reason) => {
    const cause = grpcError(code, details);
    const error = toStoreError(cause);
    expect(error).toMatchObject({ code: expected, reason, cause });
    if (expected === 'UNAVAILABLE') expect(error.retryAfterMs).toBe(1_000);
  });

  it('leaves errors of ours alone, and makes anything else INTERNAL', () => {
    const ours = invalidArgument('key', 'must not be empty');
    expect(toStoreError(ours)).toBe(ours);
    expect(toStoreError(new TypeError('x is not a function'))).toMatchObject({ code: 'INTERNAL', reason: 'STORE_ERROR' });
    expect(toStoreError('text')).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('what may be done again', () => {
  it('is only what certainly was not sent', () => {
    expect(wasNotSent(grpcError(status.UNAVAILABLE, 'No connection established. Last error: ECONNREFUSED'))).toBe(true);
    expect(wasNotSent(grpcError(status.UNAVAILABLE, 'Connection dropped'))).toBe(false);
    expect(wasNotSent(grpcError(status.DEADLINE_EXCEEDED, 'Deadline exceeded'))).toBe(false);
  });

  it('tells failures of an endpoint from refusals of etcd', () => {
    expect(isEndpointFailure(grpcError(status.DEADLINE_EXCEEDED, 'Deadline exceeded'))).toBe(true);
    expect(isEndpointFailure(grpcError(status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'))).toBe(false);
    expect(isTokenRefused(grpcError(status.UNAUTHENTICATED, 'etcdserver: invalid auth token'))).toBe(true);
    expect(isAnswerTooLarge(grpcError(status.RESOURCE_EXHAUSTED, 'Received message larger than max (5 vs 4)'))).toBe(true);
  });
});
