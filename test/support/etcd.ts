import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll } from '@jest/globals';
import { Etcd3 } from 'etcd3';
import { systemClock } from '../../src/core/clock.js';
import { systemRandom } from '../../src/core/random.js';
import type { EtcdOptions as StoreOptions } from '../../src/store/etcd-connection.js';
import { EtcdStore } from '../../src/store/etcd-store.js';
import { silentLogger } from '../../src/telemetry/logger.js';
import { eventually } from './eventually.js';
import { ROOT, startProcess, type TestProcess } from './processes.js';

export interface EtcdOptions {
  /** How large its database may become; etcd's default is 2 GiB. */
  readonly quotaBytes?: number;
  /** Serves over TLS, with a certificate that it makes itself (`certificate()`). */
  readonly tls?: boolean;
}

const START_TIMEOUT_MS = 20_000;

/** A real etcd of its own, ready, on ports of its own; gone at the latest when what started it (test or file) ends. */
export async function startEtcd(options: EtcdOptions = {}): Promise<TestEtcd> {
  const dataDir = await mkdtemp(join(tmpdir(), 'troupe-etcd-'));
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const etcd = new TestEtcd({ dataDir, clientPort, peerPort, quotaBytes: options.quotaBytes, tls: options.tls ?? false });
  started.add(etcd);
  await etcd.ready();
  return etcd;
}

interface Place {
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly quotaBytes: number | undefined;
  readonly tls: boolean;
}

export class TestEtcd {
  /** `http://127.0.0.1:port`, the same after a restart. */
  readonly endpoint: string;
  private process: TestProcess;

  constructor(private readonly place: Place) {
    this.endpoint = `${place.tls ? 'https' : 'http'}://127.0.0.1:${place.clientPort}`;
    this.process = this.start();
  }

  /** Resolves once it answers a linearizable read, of `user` where it has users. */
  async ready(user: Partial<StoreOptions> = {}): Promise<void> {
    let gone = false;
    void this.process.exit.then(() => {
      gone = true;
    });
    const store = this.open(this.place.tls ? { ...user, tls: { ca: await this.certificate() } } : user);
    try {
      await eventually(
        async () => {
          if (!gone) await store.get('ready');
        },
        { timeoutMs: START_TIMEOUT_MS },
      );
    } finally {
      await store.close();
    }
    if (gone) throw new Error(`etcd ended at its start:\n${this.process.stderr}`);
  }

  get port(): number {
    return this.place.clientPort;
  }

  /** A store on this etcd; to be closed. */
  open(options: Partial<StoreOptions> = {}): EtcdStore {
    const dependencies = { clock: systemClock, random: systemRandom, logger: silentLogger };
    return new EtcdStore(dependencies, { endpoints: [this.endpoint], ...options });
  }

  /** What it shows to clients, as PEM: whole, since it may still be writing the file. */
  certificate(): Promise<Buffer> {
    return eventually(
      async () => {
        const pem = await readFile(join(this.place.dataDir, 'fixtures', 'client', 'cert.pem'));
        if (!pem.includes('-----END CERTIFICATE-----')) throw new Error('etcd has not written its certificate yet');
        return pem;
      },
      { timeoutMs: START_TIMEOUT_MS },
    );
  }

  /** What needs etcd3's own client: compaction, alarms, users. */
  async admin<T>(use: (client: Etcd3) => Promise<T>): Promise<T> {
    const client = new Etcd3({ hosts: this.endpoint });
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  async compact(revision: bigint): Promise<void> {
    await this.admin(({ kv }) => kv.compact({ revision: revision.toString(), physical: true }));
  }

  /** Gives back the space of what was compacted, and ends the alarm of a full etcd. */
  async makeSpace(): Promise<void> {
    await this.admin(async ({ maintenance }) => {
      await maintenance.defragment();
      const { alarms } = await maintenance.alarm({ action: 'Get' });
      for (const { memberID, alarm } of alarms) await maintenance.alarm({ action: 'Deactivate', memberID, alarm });
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.process.kill('SIGKILL');
  }

  /** After `kill`: the same ports, the same data. */
  async restart(user: Partial<StoreOptions> = {}): Promise<void> {
    this.process = this.start();
    await this.ready(user);
  }

  /** SIGSTOP: it keeps its connections and says nothing. */
  async pause(): Promise<void> {
    await this.process.kill('SIGSTOP');
  }

  async resume(): Promise<void> {
    await this.process.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    started.delete(this);
    await this.process.destroy();
    await rm(this.place.dataDir, { recursive: true, force: true });
  }

  private start(): TestProcess {
    const { dataDir, peerPort, quotaBytes, tls } = this.place;
    const peer = `http://127.0.0.1:${peerPort}`;
    return startProcess(etcdBinary(), [
      ...['--name', 'test', '--data-dir', dataDir, '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
      // Elects itself in half a second, and grants leases from 1 s on.
      ...['--heartbeat-interval', '50', '--election-timeout', '500'],
      ...(tls ? ['--auto-tls'] : []),
      ...(quotaBytes === undefined ? [] : ['--quota-backend-bytes', String(quotaBytes)]),
    ]);
  }
}

const started = new Set<TestEtcd>();

afterAll(async () => {
  await Promise.all([...started].map((etcd) => etcd.stop()));
});

/** TROUPE_ETCD, or the one on the PATH, or what `scripts/install-etcd.mjs` left in .tools. */
export function etcdBinary(): string {
  const named = process.env.TROUPE_ETCD;
  if (named !== undefined && named !== '') return named;
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(ROOT, '.tools', 'etcd', 'bin')];
  const found = folders.filter((folder) => folder !== '').map((folder) => join(folder, 'etcd'));
  const binary = found.find((path) => existsSync(path));
  if (binary === undefined) throw new Error('there is no etcd; run `make test`, or `node scripts/install-etcd.mjs` once');
  return binary;
}

/** Ports that were free just now, held together so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
