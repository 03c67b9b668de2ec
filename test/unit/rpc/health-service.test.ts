import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HealthDefinition, HealthCheckResponse_ServingStatus as Serving } from '../../../src/gen/grpc/health/v1/health.js';
import { createClient } from '../../../src/rpc/client.js';
import { Health } from '../../../src/rpc/health-service.js';
import { type EchoServer, startEcho } from './echo-server.js';

let echo: EchoServer;
let health: Health;

beforeEach(async () => {
  health = new Health();
  echo = await startEcho({}, (server) => health.mount(server));
});
afterEach(() => echo.close());

const client = () => createClient(HealthDefinition, echo.channel);

describe('Health', () => {
  it('is SERVING for the server and each of its services only when it was said to be', async () => {
    for (const service of ['', 'test.Echo', 'grpc.health.v1.Health']) {
      health.set(false);
      expect(await client().check({ service })).toEqual({ status: Serving.NOT_SERVING });
      health.set(true);
      expect(await client().check({ service })).toEqual({ status: Serving.SERVING });
    }
    expect(health.isServing).toBe(true);
  });

  it('does not know other services', async () => {
    await expect(client().check({ service: 'other' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tells watchers what is and every change, once, and ends when it is closed', async () => {
    const watch = client().watch({ service: 'test.Echo' })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ status: Serving.NOT_SERVING });
    health.set(true);
    expect((await watch.next()).value).toEqual({ status: Serving.SERVING });
    health.set(true);
    health.set(false);
    expect((await watch.next()).value).toEqual({ status: Serving.NOT_SERVING });
    health.close();
    expect((await watch.next()).done).toBe(true);
  });

  it('tells a watcher of an unknown service so, and keeps the stream open', async () => {
    const controller = new AbortController();
    const watch = client().watch({ service: 'other' }, { signal: controller.signal })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ status: Serving.SERVICE_UNKNOWN });
    health.set(true);
    const next = watch.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
