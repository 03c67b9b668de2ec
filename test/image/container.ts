import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestProcess } from '../support/processes.js';
import { type Ran, runCommand } from '../support/run-command.js';

export interface ContainerSpec {
  readonly name: string;
  /** The files of its image, which it cannot change. */
  readonly root: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** `uid:gid` */
  readonly user: string;
  readonly hostname: string;
  /** The path of a network namespace. */
  readonly network: string;
  readonly tmpfs: readonly string[];
  readonly binds: readonly Bind[];
}

export interface Bind {
  readonly source: string;
  readonly destination: string;
  readonly readOnly?: boolean;
}

/** A container under runc as Docker would run it with `read_only`, `cap_drop: [ALL]` and `no-new-privileges`. */
export class Container {
  readonly process: TestProcess;
  isRunning = true;
  private readonly folder = mkdtempSync(join(tmpdir(), 'troupe-container-'));
  private readonly id: string;

  constructor(
    private readonly runc: string,
    spec: ContainerSpec,
  ) {
    this.id = `troupe-${process.pid}-${spec.name}-${randomUUID().slice(0, 8)}`;
    mkdirSync(join(this.folder, 'bundle'));
    writeFileSync(join(this.folder, 'bundle', 'config.json'), JSON.stringify(runtimeConfig(spec)));
    this.process = new TestProcess(runc, [...this.globals, 'run', '--bundle', join(this.folder, 'bundle'), this.id], {});
    void this.process.exit.then(() => {
      this.isRunning = false;
    });
  }

  /** Runs a command in it, to its end. */
  exec(args: readonly string[]): Promise<Ran> {
    return runCommand(this.runc, [...this.globals, 'exec', this.id, ...args]);
  }

  /** What the first process in it gets, and its exit code. */
  async stop(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<{ readonly code: number | null; readonly ms: number }> {
    const startedAt = performance.now();
    execFileSync(this.runc, [...this.globals, 'kill', this.id, signal], { stdio: 'ignore' });
    const { code } = await this.process.exit;
    return { code, ms: performance.now() - startedAt };
  }

  /** Ends it however it is. */
  async remove(): Promise<void> {
    execFileSync(this.runc, [...this.globals, 'delete', '--force', this.id], { stdio: 'ignore' });
    await this.process.exit;
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get globals(): readonly string[] {
    return ['--root', join(this.folder, 'state')];
  }
}

/** @see https://github.com/opencontainers/runtime-spec/blob/main/config.md */
function runtimeConfig(spec: ContainerSpec): object {
  const [uid, gid] = spec.user.split(':').map(Number);
  const tmpfs = (destination: string, options: readonly string[]) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'noexec', ...options],
  });
  return {
    ociVersion: '1.0.2',
    root: { path: spec.root, readonly: true },
    hostname: spec.hostname,
    process: {
      args: spec.args,
      env: spec.env,
      cwd: spec.cwd,
      user: { uid, gid },
      capabilities: {},
      noNewPrivileges: true,
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      tmpfs('/dev', ['mode=755', 'size=65536k']),
      ...spec.tmpfs.map((path) => tmpfs(path, ['nodev', 'mode=1777'])),
      ...spec.binds.map(({ source, destination, readOnly = false }) => ({
        destination,
        type: 'bind',
        source,
        options: ['rbind', readOnly ? 'ro' : 'rw', 'nosuid', 'nodev'],
      })),
    ],
    linux: {
      namespaces: [...['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })), { type: 'network', path: spec.network }],
      maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/scsi'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}
