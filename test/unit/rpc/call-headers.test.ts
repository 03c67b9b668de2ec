import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readableTimeout } from '../../../src/rpc/call-headers.js';
import { type EchoServer, encodeKey, startEcho, UNARY } from './echo-server.js';

describe('readableTimeout', () => {
  it.each(['5S', '0m', '30000m', '1H', '99999999n', '99999999u', '596H'])('leaves %s as it is', (timeout) => {
    expect(readableTimeout(timeout)).toBe(timeout);
  });

  it.each(['99999999H', '597H', '35792M', '2147484S', '99999999S'])('makes the longest of %s', (timeout) => {
    expect(readableTimeout(timeout)).toBe('2147483S');
  });

  it.each(['', '-5S', 'abc5S', '5', 'S', '5s', '5 S', '5SS', '123456789S', '1e3S', '５S', '5S,6S'])('refuses "%s"', (timeout) => {
    expect(readableTimeout(timeout)).toBeUndefined();
  });
});

describe('a server', () => {
  let echo: EchoServer;
  let deadlineMs = 0;

  beforeAll(async () => {
    echo = await startEcho({
      unary: (request, call) => {
        deadlineMs = call.deadlineMs;
        return request;
      },
    });
  });
  afterAll(() => echo.close());

  /** The status of a call with this timeout and these headers, from its headers or its trailers. */
  async function statusWith(timeout: string, more: OutgoingHttpHeaders = {}): Promise<number> {
    const session = connect(`http://${echo.address}`);
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': UNARY,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-timeout': timeout,
        ...more,
      });
      let status: unknown;
      stream.on('response', (headers) => {
        status = headers['grpc-status'] ?? status;
      });
      stream.on('trailers', (headers) => {
        status = headers['grpc-status'] ?? status;
      });
      const message = encodeKey('a');
      const frame = Buffer.alloc(5 + message.length);
      frame.writeUInt32BE(message.length, 1);
      message.copy(frame, 5);
      stream.end(frame);
      stream.resume();
      await new Promise((resolve) => stream.on('close', resolve));
      return Number(status);
    } finally {
      session.close();
    }
  }

  it.each(['-5S', 'abc5S', '5', '123456789S'])('answers a grpc-timeout of %s with INVALID_ARGUMENT', async (timeout) => {
    expect(await statusWith(timeout)).toBe(3);
  });

  it('takes a grpc-timeout beyond what a timer knows for a very long one', async () => {
    expect(await statusWith('99999999H')).toBe(0);
    expect(deadlineMs - Date.now()).toBeGreaterThan(20 * 24 * 3_600_000);
  });

  it('refuses metadata beyond its bound with RESOURCE_EXHAUSTED, and lives', async () => {
    expect(await statusWith('20S', { big: 'x'.repeat(50_000) })).toBe(8);
    expect(await statusWith('20S', Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`h${i}`, 'x'.repeat(200)])))).toBe(
      8,
    );
    expect(await statusWith('20S', { big: 'x'.repeat(15_000) })).toBe(0);
  });

  it('takes a grpc-timeout as it is', async () => {
    expect(await statusWith('20S')).toBe(0);
    expect(Math.abs(deadlineMs - Date.now() - 20_000)).toBeLessThan(2_000);
  });
});
