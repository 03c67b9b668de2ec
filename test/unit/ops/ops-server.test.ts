import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { OpsServer } from '../../../src/ops/ops-server.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { eventually } from '../../support/eventually.js';

const server = new OpsServer({ identity: {}, isReady: () => true, metrics: undefined }, silentLogger);
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
});

it('answers again within seconds of connections that never say what they want', async () => {
  const address = (await server.listen('127.0.0.1', { port: 0, explicit: true })) ?? '';
  const port = Number(address.split(':')[1]);
  for (let index = 0; index < 64; index++) {
    const socket = connect(port, '127.0.0.1', () => socket.write(index % 2 === 0 ? 'GET /health HTTP/1.1\r\nX: ' : ''));
    sockets.push(socket.on('error', () => undefined).resume());
  }
  await eventually(() => expect(sockets.every(({ pending }) => !pending)).toBe(true));
  await expect(fetch(`http://${address}/health`)).rejects.toThrow();
  await eventually(async () => expect((await fetch(`http://${address}/health`)).status).toBe(200), { timeoutMs: 12_000 });
}, 20_000);
