import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { ChannelPool, connected, isConnected, openChannel } from '../../../src/rpc/channels.js';
import { createClient } from '../../../src/rpc/client.js';
import { RawClient } from '../../../src/rpc/raw-client.js';
import { oneChannel } from '../../../src/rpc/renewed-channel.js';
import { eventually } from '../../support/eventually.js';
import { EchoDefinition, type EchoHandlers, type EchoServer, encodeKey, SERVER_STREAM, startEcho, UNARY } from './echo-server.js';

let echo: EchoServer;

afterEach(() => echo.close());

const hang: EchoHandlers['unary'] = (_request, call) =>
  new Promise((_resolve, reject) => call.onCancel((error) => reject(error)));
const refuse = () => {
  throw new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { metadata: { started: 'false' }, retryAfterMs: 100 });
};
const FULL = { code: 'RESOURCE_EXHAUSTED', reason: 'MAILBOX_FULL', metadata: { started: 'false' }, retryAfterMs: 100 };

describe('a typed client', () => {
  it('throws TroupeErrors with all their details', async () => {
    echo = await startEcho({ unary: refuse, serverStream: refuse });
    const client = createClient(EchoDefinition, echo.channel);
    await expect(client.unary({})).rejects.toMatchObject(FULL);
    await expect(client.serverStream({})[Symbol.asyncIterator]().next()).rejects.toMatchObject(FULL);
  });

  it('ends a call with DEADLINE_EXCEEDED after its timeout', async () => {
    echo = await startEcho({ unary: hang });
    const client = createClient(EchoDefinition, echo.channel);
    await expect(client.unary({}, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('ends a call with the reason of its signal', async () => {
    echo = await startEcho({ unary: hang });
    const client = createClient(EchoDefinition, echo.channel);
    const reason = new TroupeError('UNAVAILABLE', 'REGISTRY_SILENT', 'silent');
    const controller = new AbortController();
    const call = client.unary({}, { signal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await expect(client.unary({}, { signal: controller.signal, timeoutMs: 1_000 })).rejects.toBe(reason);
  });

  it('says UNAVAILABLE when nobody listens', async () => {
    echo = await startEcho();
    await echo.server.shutdown(0);
    await expect(createClient(EchoDefinition, echo.channel).unary({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a raw client', () => {
  const soon = () => ({ deadlineMs: Date.now() + 10_000 });

  it('brings bytes there and back, with the trace', async () => {
    const sent = { traceparent: 'trace', tracestate: 'shop=1', baggage: 'user=ada' };
    let trace: object | undefined;
    echo = await startEcho({
      unary: (request, call) => {
        const [traceparent, tracestate, baggage] = ['traceparent', 'tracestate', 'baggage'].map((name) => call.header(name));
        trace = { traceparent, tracestate, baggage };
        return request;
      },
    });
    const client = new RawClient(oneChannel(echo.channel));
    expect(await client.unary(UNARY, encodeKey('a'), { ...soon(), trace: sent }).response).toEqual(encodeKey('a'));
    expect(trace).toEqual(sent);
    expect(await client.unary(UNARY, encodeKey('b'), { deadlineMs: Number.POSITIVE_INFINITY }).response).toEqual(encodeKey('b'));
  });

  it('throws TroupeErrors with all their details', async () => {
    echo = await startEcho({ unary: refuse, serverStream: refuse });
    const client = new RawClient(oneChannel(echo.channel));
    await expect(client.unary(UNARY, encodeKey('a'), soon()).response).rejects.toMatchObject(FULL);
    await expect(client.serverStream(SERVER_STREAM, encodeKey('a'), soon()).next()).rejects.toMatchObject(FULL);
  });

  it('ends with DEADLINE_EXCEEDED at its deadline', async () => {
    echo = await startEcho({ unary: hang });
    const call = new RawClient(oneChannel(echo.channel)).unary(UNARY, encodeKey('a'), { deadlineMs: Date.now() + 30 });
    await expect(call.response).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('calls off', async () => {
    let seen: TroupeError | undefined;
    let began = false;
    echo = await startEcho({
      unary: (_request, call) =>
        new Promise((_resolve, reject) => {
          began = true;
          call.onCancel((error) => {
            seen = error;
            reject(error);
          });
        }),
    });
    const call = new RawClient(oneChannel(echo.channel)).unary(UNARY, encodeKey('a'), soon());
    await eventually(() => expect(began).toBe(true));
    call.cancel();
    await expect(call.response).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(seen).toMatchObject({ code: 'CANCELLED' }));
  });

  it('ends a stream that is left, and one whose signal aborts', async () => {
    let open = 0;
    echo = await startEcho({
      async *serverStream(request, call) {
        open += 1;
        try {
          yield request;
          await new Promise<void>((resolve) => call.onCancel(() => resolve()));
        } finally {
          open -= 1;
        }
      },
    });
    const client = new RawClient(oneChannel(echo.channel));
    for await (const _ of client.serverStream(SERVER_STREAM, encodeKey('a'), soon())) break;
    await eventually(() => expect(open).toBe(0));
    const reason = new TroupeError('UNAVAILABLE', 'NODE_LOST', 'lost');
    const controller = new AbortController();
    const stream = client.serverStream(SERVER_STREAM, encodeKey('a'), { ...soon(), signal: controller.signal });
    await stream.next();
    controller.abort(reason);
    await expect(stream.next()).rejects.toBe(reason);
    await eventually(() => expect(open).toBe(0));
    const late = client.serverStream(SERVER_STREAM, encodeKey('a'), { ...soon(), signal: controller.signal });
    await expect(late.next()).rejects.toBe(reason);
  });
});

describe('connected', () => {
  it('resolves once the channel is connected', async () => {
    echo = await startEcho();
    expect(isConnected(echo.channel)).toBe(false);
    await connected(echo.channel, echo.address, 5_000);
    expect(isConnected(echo.channel)).toBe(true);
    await connected(echo.channel, echo.address, 0);
  });

  it('says at once, and as not started, that the peer refuses', async () => {
    echo = await startEcho();
    await echo.server.shutdown(0);
    await expect(connected(echo.channel, echo.address, 10_000)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NOT_CONNECTED',
      metadata: { started: 'false' },
    });
  });

  it('says, as not started, that the channel was closed before or meanwhile', async () => {
    echo = await startEcho();
    const closed = { code: 'UNAVAILABLE', reason: 'NOT_CONNECTED', metadata: { started: 'false' } };
    const before = openChannel('203.0.113.1:1');
    before.close();
    await expect(connected(before, '203.0.113.1:1', 10_000)).rejects.toMatchObject(closed);
    const meanwhile = openChannel('203.0.113.1:1');
    const waiting = connected(meanwhile, '203.0.113.1:1', 10_000);
    meanwhile.close();
    await expect(waiting).rejects.toMatchObject(closed);
  });
});

describe('a pool of channels', () => {
  it('has one for an address, until it is dropped', async () => {
    echo = await startEcho();
    const pool = new ChannelPool();
    const channel = pool.get(echo.address);
    expect(pool.get(echo.address)).toBe(channel);
    pool.drop(echo.address);
    pool.drop('never:1');
    const next = pool.get(echo.address);
    expect(next).not.toBe(channel);
    await connected(next, echo.address, 5_000);
    pool.close();
    expect(isConnected(next)).toBe(false);
  });
});
