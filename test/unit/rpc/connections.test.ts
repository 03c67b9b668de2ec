import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { TroupeError } from '../../../src/core/errors.js';
import { InstanceKey } from '../../../src/gen/troupe/v1/registry.js';
import { openChannel } from '../../../src/rpc/channels.js';
import { createClient } from '../../../src/rpc/client.js';
import { eventually } from '../../support/eventually.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { EchoDefinition, type EchoServer, startEcho } from './echo-server.js';

let echo: EchoServer;
let ends: string[] = [];

async function start(): Promise<void> {
  ends = [];
  echo = await startEcho({
    async *serverStream(request, call) {
      call.onCancel((error: TroupeError) => ends.push(`${error.code} ${error.reason}`));
      yield request;
      await new Promise<void>((resolve) => call.onCancel(() => resolve()));
    },
  });
}

afterEach(() => echo.close());

const hello = InstanceKey.fromPartial({ service: 'hello' });

describe('a stream that ends early', () => {
  it('was cancelled by its caller, whose connection goes on', async () => {
    await start();
    const client = createClient(EchoDefinition, echo.channel);
    const controller = new AbortController();
    const stream = client.serverStream(hello, { signal: controller.signal })[Symbol.asyncIterator]();
    await stream.next();
    controller.abort();
    await expect(stream.next()).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(ends).toEqual(['CANCELLED CANCELLED']));
    expect(await client.unary(hello)).toEqual(hello);
  });

  it('or lost with its connection', async () => {
    await start();
    const proxy = await TcpProxy.start(echo.port);
    const channel = openChannel(new URL(proxy.endpoint).host);
    const client = createClient(EchoDefinition, channel);
    const stream = client.serverStream(hello)[Symbol.asyncIterator]();
    await stream.next();
    proxy.cut();
    await expect(stream.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await eventually(() => expect(ends).toEqual(['CANCELLED CONNECTION_LOST']));
    channel.close();
    await proxy.stop();
  });

  it('is not mixed up with others that come and go', async () => {
    await start();
    for (let n = 0; n < 5; n++) {
      const socket = connect(echo.port, '127.0.0.1');
      await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
      socket.destroy();
    }
    const client = createClient(EchoDefinition, echo.channel);
    const controller = new AbortController();
    const stream = client.serverStream(hello, { signal: controller.signal })[Symbol.asyncIterator]();
    await stream.next();
    controller.abort();
    await stream.next().catch(() => undefined);
    await eventually(() => expect(ends).toEqual(['CANCELLED CANCELLED']));
  });
});
