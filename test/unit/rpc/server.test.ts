import { afterEach, describe, expect, it } from '@jest/globals';
import { createClient } from '../../../src/rpc/client.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { fromServiceError } from '../../../src/rpc/status.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { eventually } from '../../support/eventually.js';
import { callUnary, EchoDefinition, type EchoServer, encodeKey, identity, SERVER_STREAM, startEcho } from './echo-server.js';

let echo: EchoServer;

afterEach(() => echo.close());

describe('RpcServer', () => {
  it('says that a port is in use, and what to do', async () => {
    echo = await startEcho();
    const second = new RpcServer({ logger: silentLogger });
    await expect(second.listen('127.0.0.1', echo.port)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'PORT_IN_USE',
      message: expect.stringContaining('--port'),
    });
    await second.shutdown(0);
  });

  it('says that an address cannot be listened on', async () => {
    echo = await startEcho();
    const second = new RpcServer({ logger: silentLogger });
    await expect(second.listen('203.0.113.1', 0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CANNOT_LISTEN' });
    await second.shutdown(0);
  });

  it('serves on IPv6', async () => {
    echo = await startEcho();
    const second = new RpcServer({ logger: silentLogger });
    expect(await second.listen('::1', 0)).toBeGreaterThan(0);
    await second.shutdown(0);
  });

  it('names what is mounted', async () => {
    echo = await startEcho();
    expect(echo.server.services).toEqual(['test.Echo']);
  });

  it('answers UNIMPLEMENTED for a method that is not there', async () => {
    echo = await startEcho();
    const error = await callUnary(echo.client, encodeKey('a'), { path: '/test.Echo/Other' }).catch(fromServiceError);
    expect(error).toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('shuts down when calls under way have ended, and takes no new ones meanwhile', async () => {
    let finish: () => void = () => undefined;
    let began = false;
    echo = await startEcho({
      unary: async (request) => {
        began = true;
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return request;
      },
    });
    const call = callUnary(echo.client, encodeKey('a'));
    await eventually(() => expect(began).toBe(true));
    const stopped = echo.server.shutdown(10_000);
    await expect(createClient(EchoDefinition, echo.channel).unary({}, { timeoutMs: 300 })).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
    });
    finish();
    expect(await call).toEqual(encodeKey('a'));
    await stopped;
  });

  it('cuts open streams when the grace time is over', async () => {
    let ended = false;
    echo = await startEcho({
      async *serverStream(request, call) {
        try {
          yield request;
          await new Promise<void>((resolve) => call.onCancel(() => resolve()));
        } finally {
          ended = true;
        }
      },
    });
    const call = echo.client.makeServerStreamRequest(SERVER_STREAM, identity, identity, encodeKey('a'));
    const failed = new Promise<unknown>((resolve) => call.on('error', resolve));
    await new Promise((resolve) => call.once('data', resolve));
    await echo.server.shutdown(20);
    expect(['UNAVAILABLE', 'CANCELLED', 'INTERNAL']).toContain(fromServiceError(await failed).code);
    await eventually(() => expect(ended).toBe(true));
  });
});
