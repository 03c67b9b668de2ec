import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { ROOT, startTroupe } from '../support/processes.js';
import { runCommand } from '../support/run-command.js';

const PROBE = join(ROOT, 'dist', 'src', 'app', 'probe.js');

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
  server = undefined;
});

const probe = (port: string, ...args: string[]) =>
  runCommand(process.execPath, [PROBE, ...args], { env: { TROUPE_OPS_PORT: port } });

test('the health check ends with 0 when a role answers that it is alive, and that it is ready', async () => {
  const registry = startTroupe(['registry', '--port', '0', '--ops-port', '0']);
  const { ops } = await registry.ready();
  const port = String(ops).split(':')[1] ?? '';
  expect(await probe(port)).toMatchObject({ code: 0, stdout: expect.stringContaining('{') });
  expect(await probe(port, '/ready')).toMatchObject({ code: 0 });
  expect(await probe(port, '/nothing')).toMatchObject({ code: 1 });
  await registry.kill();
  const gone = await probe(port);
  expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining(`http://127.0.0.1:${port}/health`) });
});

test('it ends with 1 when the answer is another than 200, or does not come', async () => {
  server = createServer((request, response) => {
    if (request.url === '/ready') response.writeHead(503).end('draining');
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const port = String((server.address() as AddressInfo).port);
  expect(await probe(port, '/ready')).toMatchObject({ code: 1, stdout: 'draining\n' });
  expect(await probe(port, '/health')).toMatchObject({ code: 1, stderr: expect.stringContaining('no answer within 2000 ms') });
});

test.each(['off', '0', 'x'])('it says what to do when the operations port is %s', async (port) => {
  const { code, stderr } = await probe(port);
  expect(code).toBe(1);
  expect(stderr).toContain(`TROUPE_OPS_PORT is "${port}"`);
  expect(stderr).toContain('--no-healthcheck');
});
