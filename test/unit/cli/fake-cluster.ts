import { afterEach } from '@jest/globals';
import { runCli } from '../../../src/cli/program.js';
import { TroupeError } from '../../../src/core/errors.js';
import { MessagingDefinition } from '../../../src/gen/troupe/v1/messaging.js';
import { NodeDefinition } from '../../../src/gen/troupe/v1/node.js';
import { RegistryDefinition } from '../../../src/gen/troupe/v1/registry.js';
import { TasksDefinition } from '../../../src/gen/troupe/v1/tasks.js';
import { Health } from '../../../src/rpc/health-service.js';
import { mountReflection } from '../../../src/rpc/reflection-service.js';
import { RpcServer } from '../../../src/rpc/server.js';
import type { Handlers, ServiceDefinition } from '../../../src/rpc/service.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { CapturedIo } from './captured-io.js';

export interface FakeHandlers {
  readonly registry?: Partial<Handlers<typeof RegistryDefinition>>;
  readonly node?: Partial<Handlers<typeof NodeDefinition>>;
  readonly tasks?: Partial<Handlers<typeof TasksDefinition>>;
  readonly messaging?: Partial<Handlers<typeof MessagingDefinition>>;
  readonly reflection?: boolean;
}

const servers: RpcServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.shutdown(0)));
});

/** A gateway of handlers: a real server on a free port, stopped after the test. Gives its address. */
export async function fakeCluster({
  registry = {},
  node = {},
  tasks = {},
  messaging = {},
  reflection = true,
}: FakeHandlers = {}): Promise<string> {
  const server = new RpcServer({ logger: silentLogger });
  servers.push(server);
  server.mount(RegistryDefinition, { ...refuse(RegistryDefinition), ...registry });
  server.mount(NodeDefinition, { ...refuse(NodeDefinition), ...node });
  server.mount(TasksDefinition, { ...refuse(TasksDefinition), ...tasks });
  server.mount(MessagingDefinition, { ...refuse(MessagingDefinition), ...messaging });
  const health = new Health();
  health.mount(server);
  health.set(true);
  if (reflection) mountReflection(server);
  return `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
}

/** Runs `troupe` with `args` against `address`. */
export async function troupe(
  address: string,
  args: readonly string[],
  io = new CapturedIo(),
): Promise<{ readonly code: number; readonly io: CapturedIo }> {
  const code = await runCli(['--address', address, ...args], io, []);
  return { code, io };
}

/** Handlers that refuse every call. */
function refuse<D extends ServiceDefinition>(definition: D): Handlers<D> {
  const handler = () => {
    throw new TroupeError('UNIMPLEMENTED', 'UNIMPLEMENTED', 'not served here');
  };
  return Object.fromEntries(Object.keys(definition.methods).map((key) => [key, handler])) as unknown as Handlers<D>;
}
