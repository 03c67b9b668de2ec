import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TroupeError } from '../../core/errors.js';
import type { LogLevel } from '../../telemetry/logger.js';
import { SHUTDOWN_MS } from '../config.js';
import type { ReadyLine } from '../role.js';
import { Supervised, type SupervisorEvent } from './supervisor.js';

export interface ClusterOptions {
  readonly host: string;
  /** 0: free ones. */
  readonly registryPort: number;
  /** Of the first node; the others follow. 0: free ones. */
  readonly nodePort: number;
  readonly gatewayPort: number;
  readonly nodes: number;
  /** Modules that every node loads. */
  readonly agents: readonly string[];
  readonly strategy: string;
  /** A file for all routers. */
  readonly policy?: string | undefined;
  readonly leaseTtlSeconds: number;
  readonly logLevel: LogLevel;
  /** For all processes, besides what this says. */
  readonly flags?: readonly string[];
  /** Where the processes run. */
  readonly cwd: string;
  /** Whether a process that ends is started again. */
  readonly restart: boolean;
  readonly onLog: (name: string, line: string) => void;
  readonly onEvent?: (event: SupervisorEvent) => void;
}

/** A cluster of OS processes on this machine: registry on the in-memory store, nodes, a gateway. */
export class LocalCluster {
  private readonly processes = new Map<string, Supervised>();
  private dataDir: string | undefined;
  private stopped: Promise<void> | undefined;

  constructor(private readonly options: ClusterOptions) {}

  get pids(): readonly number[] {
    return [...this.processes.values()].map(({ pid }) => pid);
  }

  /** The process of a role, by name: `registry`, `node-1`, …, `gateway`. */
  process(name: string): Supervised {
    const found = this.processes.get(name);
    if (found === undefined) throw new RangeError(`no process ${name}`);
    return found;
  }

  /** All processes that are still there. */
  get running(): readonly Supervised[] {
    return [...this.processes.values()].filter(({ isRunning }) => isRunning);
  }

  /** Starts the registry and gives its line. @throws UNAVAILABLE / CHILD_FAILED. */
  async startRegistry(): Promise<ReadyLine> {
    const { host, registryPort } = this.options;
    return this.start('registry', ['registry', '--host', host, '--port', String(registryPort)]).ready;
  }

  async startGateway(registry: string): Promise<ReadyLine> {
    return this.start('gateway', this.memberArgs('gateway', this.options.gatewayPort, registry)).ready;
  }

  /** Starts all nodes together. */
  async startNodes(registry: string): Promise<readonly ReadyLine[]> {
    const { nodes, nodePort, agents } = this.options;
    this.dataDir ??= await mkdtemp(join(tmpdir(), 'troupe-'));
    const { dataDir } = this;
    const started = Array.from({ length: nodes }, (_, index) => {
      const id = `node-${index + 1}`;
      const port = nodePort === 0 ? 0 : nodePort + index;
      const kinds = agents.flatMap((module) => ['--agents', module]);
      return this.start(id, [...this.memberArgs('node', port, registry, id), ...kinds, '--data-dir', join(dataDir, id)]);
    });
    return Promise.all(started.map(({ ready }) => ready));
  }

  /** Ends everything: first what callers see, last what the others need. Never throws. */
  stop(): Promise<void> {
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  private async stopAll(): Promise<void> {
    const end = (names: readonly string[]) => Promise.all(names.map((name) => this.processes.get(name)?.stop(SHUTDOWN_MS)));
    await end(['gateway']);
    await end([...this.processes.keys()].filter((name) => name.startsWith('node-')));
    await end(['registry']);
    if (this.dataDir !== undefined) await rm(this.dataDir, { recursive: true, force: true });
  }

  private memberArgs(role: 'node' | 'gateway', port: number, registry: string, id: string = role): string[] {
    const { host, strategy, policy, leaseTtlSeconds } = this.options;
    return [
      role,
      '--id',
      id,
      '--host',
      host,
      '--port',
      String(port),
      '--registry',
      registry,
      '--strategy',
      strategy,
      '--lease-ttl',
      String(leaseTtlSeconds),
      ...(policy === undefined ? [] : ['--policy', policy]),
    ];
  }

  private start(name: string, args: readonly string[]): Supervised {
    if (this.stopped !== undefined) throw new TroupeError('CANCELLED', 'CANCELLED', 'the cluster is stopping');
    const { cwd, restart, logLevel, flags = [], onLog, onEvent } = this.options;
    const supervised = new Supervised(
      {
        name,
        args: [...args, '--ops-port', '0', ...flags, '--log-level', logLevel],
        cwd,
        restart,
        onLog: (line) => onLog(name, line),
      },
      onEvent,
    );
    this.processes.set(name, supervised);
    return supervised;
  }
}
