import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { composeFile, isRole, type Service } from '../support/compose-file.js';
import { etcdBinary } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import type { Ran } from '../support/run-command.js';
import { type Bind, Container } from './container.js';
import { imageUnderTest } from './image-under-test.js';
import { Network } from './network.js';

const HEALTHY_WITHIN_MS = 60_000;
/** One that belongs to no service. */
const OUTSIDER = 'outsider';

/**
 * The services of docker-compose.yml that need no profile, run as they are written there: command, environment, user, files,
 * volumes, names, health checks, and who waits for whom. Their ports are not published, and etcd's image is this machine's etcd.
 */
export class ComposeRun {
  readonly services: ReadonlyMap<string, Service>;
  readonly network: Network;
  private readonly image = imageUnderTest();
  private readonly folder = mkdtempSync(join(tmpdir(), 'troupe-compose-'));
  private readonly containers = new Map<string, Container>();
  private readonly once: Container[] = [];

  /** `more`: mounted into each role, beside what is written there. */
  constructor(private readonly more: { readonly binds: readonly Bind[]; readonly env: Readonly<Record<string, string>> }) {
    const services = Object.entries(composeFile().services).filter(([, { profiles }]) => profiles === undefined);
    this.services = new Map(services);
    this.network = new Network(this.image.tools.ip, [...this.services.keys(), OUTSIDER]);
  }

  /** Starts all that do not run, each when those it depends on are healthy. Resolves when all are. */
  async up(): Promise<void> {
    const healthy = new Map<string, Promise<void>>();
    const start = (name: string): Promise<void> => {
      const known = healthy.get(name);
      if (known !== undefined) return known;
      const started = (async () => {
        await Promise.all(Object.keys(this.service(name).depends_on ?? {}).map(start));
        if (this.containers.get(name)?.isRunning !== true) await this.start(name);
      })();
      healthy.set(name, started);
      return started;
    };
    await Promise.all([...this.services.keys()].map(start));
  }

  /** Starts one, with the volumes that it had before, and waits until it is healthy. */
  async start(name: string): Promise<void> {
    const service = this.service(name);
    const container = isRole(service) ? this.role(name, service) : this.etcd(name, service);
    this.containers.set(name, container);
    await eventually(() => this.checkHealth(name), { timeoutMs: HEALTHY_WITHIN_MS }).catch((error: unknown) => {
      throw new Error(`${name} did not become healthy:\n${container.process.stderr}`, { cause: error });
    });
  }

  container(name: string): Container {
    const container = this.containers.get(name);
    if (container === undefined) throw new Error(`${name} was not started`);
    return container;
  }

  /** `docker compose exec SERVICE troupe …` */
  troupe(name: string, ...args: string[]): Promise<Ran> {
    return this.container(name).exec(['troupe', ...args]);
  }

  /** `docker run IMAGE …` on the same network: the image as it is, without anything from the file. */
  runOnce(...args: string[]): Container {
    const container = this.create(OUTSIDER, { args, env: [], tmpfs: [], binds: [] });
    this.once.push(container);
    return container;
  }

  async down(): Promise<void> {
    await Promise.all([...this.containers.values(), ...this.once].map((container) => container.remove()));
    this.network.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private service(name: string): Service {
    const service = this.services.get(name);
    if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
    return service;
  }

  private role(name: string, service: Service): Container {
    const environment = { ...service.environment, ...this.more.env };
    return this.create(name, {
      args: service.command ?? [],
      env: Object.entries(environment).flatMap(([key, value]) => (value === null ? [] : [`${key}=${value}`])),
      tmpfs: service.tmpfs ?? [],
      binds: [...this.volumes(name, service), ...this.more.binds],
      hostname: service.hostname,
    });
  }

  private create(
    name: string,
    what: Pick<ConstructorParameters<typeof Container>[1], 'args' | 'env' | 'tmpfs' | 'binds'> & {
      hostname?: string | undefined;
    },
  ): Container {
    const { config, root, tools } = this.image;
    return new Container(tools.runc, {
      ...what,
      name,
      root,
      args: [...config.Entrypoint, ...what.args],
      env: [...config.Env, ...what.env],
      binds: [{ source: this.network.hosts, destination: '/etc/hosts', readOnly: true }, ...what.binds],
      cwd: config.WorkingDir,
      user: config.User,
      hostname: what.hostname ?? name,
      network: this.network.namespaceOf(name),
    });
  }

  /** On the files of our own image, which have the one library that it needs. */
  private etcd(name: string, service: Service): Container {
    const { root, tools } = this.image;
    const [binary = '', ...flags] = service.command ?? [];
    return new Container(tools.runc, {
      name,
      root,
      args: [binary, ...flags],
      env: [],
      cwd: '/',
      user: '0:0',
      hostname: name,
      network: this.network.namespaceOf(name),
      tmpfs: [],
      binds: [
        { source: this.network.hosts, destination: '/etc/hosts', readOnly: true },
        { source: resolve(etcdBinary()), destination: binary, readOnly: true },
        ...this.volumes(name, service),
      ],
    });
  }

  /** A volume begins as the image has that folder: Docker takes its owner over. */
  private volumes(name: string, { volumes = [] }: Service): Bind[] {
    return volumes.map((volume) => {
      const [source = '', destination = '', mode] = volume.split(':');
      if (source.startsWith('.')) return { source: join(ROOT, source), destination, readOnly: mode === 'ro' };
      const folder = join(this.folder, source);
      mkdirSync(folder, { recursive: true, mode: 0o750 });
      if (name !== 'etcd') chownSync(folder, ...(this.image.config.User.split(':').map(Number) as [number, number]));
      return { source: folder, destination };
    });
  }

  private async checkHealth(name: string): Promise<void> {
    if (name === 'etcd') {
      // There is no etcdctl beside Debian's etcd.
      const response = await fetch(`http://${this.network.addressOf(name)}:2379/health`, { signal: AbortSignal.timeout(3_000) });
      if (((await response.json()) as { health: string }).health !== 'true') throw new Error('etcd is not healthy');
      return;
    }
    const [, ...test] = this.service(name).healthcheck?.test ?? [];
    const { code, stdout, stderr } = await this.container(name).exec(test);
    if (code !== 0) throw new Error(`${name} is not healthy: ${stdout}${stderr}`);
  }
}
