// A real nats-server, as it comes: no options but the port.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePorts } from './ports.mjs';

const INSTALL = fileURLToPath(new URL('../../scripts/install-nats.mjs', import.meta.url));
const START_MS = 10_000;

/** Starts it. Gives its pid, its address, its version, and how to end it. */
export async function startNats() {
  const binary = execFileSync(process.execPath, [INSTALL], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim();
  const [port] = await freePorts(1);
  const child = spawn(binary, ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await gone;
  };
  for (const startMs = performance.now(); ; ) {
    try {
      await answers(port);
      return { pid: child.pid, address: `127.0.0.1:${port}`, version, stop };
    } catch (error) {
      if (performance.now() - startMs > START_MS || child.exitCode !== null) {
        await stop();
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** It speaks first, so whoever gets a byte has reached it. */
function answers(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
  });
}
