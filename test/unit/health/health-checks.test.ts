import { createServer, type Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.js';
import { TroupeError } from '../../../src/core/errors.js';
import { HealthDefinition } from '../../../src/gen/grpc/health/v1/health.js';
import { HealthChecks } from '../../../src/health/health-checks.js';
import { Health } from '../../../src/rpc/health-service.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { cleanUp } from '../../support/clean-up.js';

function opened(): HealthChecks {
  const checks = new HealthChecks(systemClock);
  cleanUp(() => checks.close());
  return checks;
}

async function served(mount: (server: RpcServer) => void): Promise<string> {
  const server = new RpcServer({ logger: silentLogger });
  cleanUp(() => server.shutdown(0));
  mount(server);
  return `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
}

const answering = (answer: () => never) =>
  served((server) => server.mount(HealthDefinition, { check: answer, watch: () => answer() }));

const never = new AbortController().signal;
const TIMEOUT_MS = 2_000;

describe('a health check', () => {
  it('passes while the process is ready for work', async () => {
    const health = new Health();
    const address = await served((server) => health.mount(server));
    const checks = opened();
    expect(await checks.check(address, TIMEOUT_MS, never)).toEqual({ kind: 'missed', miss: 'not_serving' });
    health.set(true);
    expect(await checks.check(address, TIMEOUT_MS, never)).toEqual({ kind: 'passed' });
  });

  it('is missed where nobody listens', async () => {
    expect(await opened().check('127.0.0.1:1', TIMEOUT_MS, never)).toEqual({ kind: 'missed', miss: 'unreachable' });
  });

  it('is missed where a connection is taken and nothing is said', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket));
    cleanUp(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const outcome = await opened().check(`127.0.0.1:${address.port}`, 200, never);
    expect(outcome).toEqual({ kind: 'missed', miss: 'no_answer' });
  });

  it.each(['UNIMPLEMENTED', 'UNAUTHENTICATED', 'RESOURCE_EXHAUSTED', 'INTERNAL'] as const)(
    'passes where the process answers with %s: it is alive',
    async (code) => {
      const address = await answering(() => {
        throw new TroupeError(code, 'TEST', 'no');
      });
      expect(await opened().check(address, TIMEOUT_MS, never)).toEqual({ kind: 'passed' });
    },
  );

  it('is missed where the process says that it is UNAVAILABLE', async () => {
    const address = await answering(() => {
      throw new TroupeError('UNAVAILABLE', 'TEST', 'no');
    });
    expect(await opened().check(address, TIMEOUT_MS, never)).toEqual({ kind: 'missed', miss: 'unreachable' });
  });

  it('says nothing when it was called off, or its address was forgotten or is none', async () => {
    const checks = opened();
    const controller = new AbortController();
    const health = new Health();
    const address = await served((server) => health.mount(server));
    const called = checks.check(address, TIMEOUT_MS, controller.signal);
    controller.abort();
    expect(await called).toBeUndefined();
    expect(await checks.check(address, TIMEOUT_MS, controller.signal)).toBeUndefined();
    const forgotten = checks.check(address, TIMEOUT_MS, never);
    checks.forget(address);
    expect(await forgotten).toBeUndefined();
    expect(await checks.check('', TIMEOUT_MS, never)).toBeUndefined();
  });
});
