import { createServer } from 'node:net';
import { join } from 'node:path';
import { type ConnectOptions, connect, type TroupeClient } from '../../src/client/client.js';
import { cleanUp } from './clean-up.js';
import { type ProcessOptions, ROOT, startTroupe, type TestProcess } from './processes.js';

/** The module of the agents that tests use. */
export const PROBE_AGENTS = join(ROOT, 'test', 'support', 'agents', 'probe.mjs');

/** A role that runs in a process of its own and has said that it is ready. */
export interface Role {
  readonly id: string;
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly port: number;
  readonly process: TestProcess;
}

/** Starts a role on a free port unless `args` names one, and waits until it is ready. */
export async function startRole(role: string, args: readonly string[] = [], options: ProcessOptions = {}): Promise<Role> {
  return roleOf(launch(role, args, options));
}

/** Starts a role without waiting. */
export function launch(role: string, args: readonly string[] = [], options: ProcessOptions = {}): TestProcess {
  const port = args.includes('--port') ? [] : ['--port', '0'];
  const ops = args.includes('--ops-port') ? [] : ['--ops-port', '0'];
  return startTroupe([role, ...port, ...ops, '--log-level', 'warn', ...args], options);
}

/** What a process says of itself once it is ready. */
export async function roleOf(started: TestProcess): Promise<Role> {
  const { id, grpc } = await started.ready();
  const address = String(grpc);
  return { id: String(id), address, port: Number(address.split(':')[1]), process: started };
}

export const startRegistry = (...args: readonly string[]) => startRole('registry', args);

export const startGateway = (registry: string, ...args: readonly string[]) =>
  startRole('gateway', ['--id', 'gateway', '--registry', registry, ...args]);

export const startNode = (id: string, registry: string, ...args: readonly string[]) =>
  startRole('node', ['--id', id, '--registry', registry, '--agents', PROBE_AGENTS, ...args]);

/** A client that is closed when the test (or the file) ends. */
export function client(address: string, options: ConnectOptions = {}): TroupeClient {
  const opened = connect(address, options);
  cleanUp(() => opened.close());
  return opened;
}

/** A port that was free just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
