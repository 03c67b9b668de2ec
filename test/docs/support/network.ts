import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { startProcess } from '../../support/processes.js';

/** Where commands run. */
export interface Network {
  /** What stands before a command. */
  readonly enter: readonly string[];
}

/**
 * A network of its own, so that the default ports, which documents name, are free: for root on Linux. Elsewhere the machine's.
 * @throws when there a default port is in use.
 */
export async function ownNetwork(ports: readonly number[]): Promise<Network> {
  if (process.platform === 'linux' && process.getuid?.() === 0) {
    const holder = startProcess('unshare', ['-n', 'sh', '-c', 'ip link set lo up && echo up && exec sleep infinity']);
    if (await holder.line((line) => line === 'up').catch(() => undefined)) {
      const enter = ['nsenter', '-t', String(holder.pid), '-n', '--'];
      if (spawnSync(enter[0] ?? '', [...enter.slice(1), 'true']).status === 0) return { enter };
    }
  }
  const used = (await Promise.all(ports.map(async (port) => ((await isFree(port)) ? [] : [port])))).flat();
  if (used.length > 0) throw new Error(`the documents use the default ports, and these are in use: ${used.join(', ')}`);
  return { enter: [] };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
