// A real etcd of one member, on free ports and an empty folder.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from './ports.mjs';

const INSTALL = fileURLToPath(new URL('../../scripts/install-etcd.mjs', import.meta.url));
const START_MS = 15_000;

/** Starts it. Gives its pid, its endpoint, an etcd3 client, and how to end all that. */
export async function startEtcd() {
  const { Etcd3 } = await import('etcd3');
  const binary = execFileSync(process.execPath, [INSTALL], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-etcd-'));
  const [clientPort, peerPort] = await freePorts(2);
  const endpoint = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const child = spawn(
    binary,
    [
      ...['--name', 'bench', '--data-dir', folder, '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `bench=${peer}`],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const gone = once(child, 'exit');
  const client = new Etcd3({ hosts: endpoint });
  const stop = async () => {
    client.close();
    child.kill('SIGKILL');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  for (const startMs = performance.now(); ; ) {
    try {
      await client.get('ready');
      return { pid: child.pid, endpoint, client, stop };
    } catch (error) {
      if (performance.now() - startMs > START_MS || child.exitCode !== null) {
        await stop();
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
