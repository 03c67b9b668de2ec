import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { deadlineExceeded, type ErrorCode, invalidFields, TroupeError } from '../../../src/core/errors.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { fromServiceError, toStatusObject } from '../../../src/rpc/status.js';
import { callUnary, encodeKey, startEcho } from './echo-server.js';

const CODES = Object.keys(status).filter((name) => Number.isNaN(Number(name)) && name !== 'OK') as ErrorCode[];

/** What travels for a status beside its number: everything that the peer must take in as headers. */
function headerBytes({ details, metadata }: StatusObject): number {
  const headers = Object.entries(metadata.toHttp2Headers());
  return encodeURI(details).length + headers.reduce((sum, [name, values]) => sum + name.length + String(values).length, 0);
}

function roundTrip(error: unknown): TroupeError {
  return fromServiceError(Object.assign(new Error('grpc'), toStatusObject(error)));
}

describe('status mapping', () => {
  it.each(CODES)('brings %s with reason, message, metadata and retry delay through', (code) => {
    const error = new TroupeError(code, 'SOME_REASON', 'what happened', { metadata: { a: '1', b: 'ä' }, retryAfterMs: 1_234.5 });
    expect(roundTrip(error)).toMatchObject({
      code,
      reason: 'SOME_REASON',
      message: 'what happened',
      metadata: { a: '1', b: 'ä' },
      retryAfterMs: 1_234.5,
      violations: [],
    });
  });

  it.each(['INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION'] as const)(
    'brings violations of %s through',
    (code) => {
      const violations = [
        { field: 'task.id', description: 'is required' },
        { field: 'ttl', description: 'must be 2 to 600 whole seconds' },
      ];
      expect(roundTrip(new TroupeError(code, 'R', 'm', { violations })).violations).toEqual(violations);
    },
  );

  it('makes an opaque INTERNAL of what is no TroupeError', () => {
    for (const thrown of [new Error('secret'), 'secret', undefined, { code: 5, details: 'secret' }]) {
      const object = toStatusObject(thrown);
      expect(object.code).toBe(status.INTERNAL);
      expect(JSON.stringify(object)).not.toContain('secret');
    }
  });

  it('puts no control characters into a header', () => {
    expect(toStatusObject(new TroupeError('ABORTED', 'R', 'a\r\nb\0c\u007f')).details).toBe('a b c ');
  });

  it('makes headers that can be sent of any message, metadata and violations', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5_000 }),
      fc.constantFrom('\ud800', `${'x'.repeat(2_047)}😀`, '字'.repeat(9_000), '😀'.repeat(30_000)),
    );
    const violation = fc.record({ field: text, description: text });
    fc.assert(
      fc.property(text, fc.dictionary(text, text), fc.array(violation, { maxLength: 300 }), (message, metadata, violations) => {
        const object = toStatusObject(
          new TroupeError('INVALID_ARGUMENT', 'R', message, { metadata, violations, retryAfterMs: 5 }),
        );
        expect(headerBytes(object)).toBeLessThan(8_192);
        const back = fromServiceError(Object.assign(new Error(), object));
        expect(back).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'R', retryAfterMs: 5 });
        if (violations.length > 0) expect(back.violations.length).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
  });

  it('reaches a client with a message of any length and in any script', async () => {
    const errors = [
      new TroupeError('INVALID_ARGUMENT', 'R', '字'.repeat(10_000)),
      new TroupeError('INVALID_ARGUMENT', 'R', `${'x'.repeat(2_047)}😀`),
      new TroupeError('INVALID_ARGUMENT', 'R', 'm', { metadata: { id: 'x'.repeat(1_000_000) } }),
      invalidFields(Array.from({ length: 500 }, (_, i) => ({ field: `instances[${i}].id`, description: 'x'.repeat(200) }))),
    ];
    const echo = await startEcho({
      unary: ({ id }) => {
        throw errors[Number(id)];
      },
    });
    try {
      for (const index of errors.keys()) {
        const error = await callUnary(echo.client, encodeKey('', String(index))).catch(fromServiceError);
        expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: errors[index]?.reason });
      }
    } finally {
      await echo.close();
    }
  });

  it('keeps code and message of a status without details, or with wrong ones', () => {
    const plain = { code: status.UNAVAILABLE, details: 'No connection established', metadata: new Metadata() };
    expect(fromServiceError(Object.assign(new Error(), plain))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'UNAVAILABLE',
      message: 'No connection established',
    });
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff]));
    expect(fromServiceError(Object.assign(new Error(), { ...plain, metadata }))).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('reads details of other programs, and leaves out what it does not know', () => {
    const metadata = new Metadata();
    const details = [{ typeUrl: 'type.googleapis.com/google.rpc.Help', value: Buffer.from([1, 2, 3]) }];
    metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({ code: 5, message: '', details }).finish()));
    expect(fromServiceError(Object.assign(new Error(), { code: status.NOT_FOUND, details: 'gone', metadata }))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
      message: 'gone',
    });
  });

  it('gives TroupeErrors as they are, and whatever else as UNKNOWN', () => {
    const ours = deadlineExceeded();
    expect(fromServiceError(ours)).toBe(ours);
    expect(fromServiceError(new Error('oops'))).toMatchObject({ code: 'UNKNOWN', message: 'oops' });
    expect(fromServiceError(undefined)).toMatchObject({ code: 'UNKNOWN' });
  });

  it('leaves out of a passed deadline where grpc-js says the time went', () => {
    const details = 'Deadline exceeded after 0.5s,LB pick: 0.001s,remote_addr=x';
    expect(fromServiceError({ code: status.DEADLINE_EXCEEDED, details }).message).toBe('Deadline exceeded after 0.5s');
  });
});
