import { GATEWAY_SERVICE } from '../../core/instance.js';
import { nodeForward } from '../../gateway/node-forward.js';
import { ProgramForward } from '../../gateway/program-forward.js';
import { registryForward } from '../../gateway/registry-forward.js';
import { NodeDefinition } from '../../gen/troupe/v1/node.js';
import { RegistryDefinition } from '../../gen/troupe/v1/registry.js';
import { nodeOfToken } from '../../messaging/sessions.js';
import type { GatewayConfig } from '../config.js';
import { Member } from '../member.js';
import { openOperations } from '../operations.js';
import { type RunningRole, serve } from '../role.js';

const SHUTDOWN_GRACE_MS = 10_000;

/** Listens at once, and is ready when it knows the cluster. @throws UNAVAILABLE / PORT_IN_USE, INVALID_ARGUMENT. */
export async function startGateway(config: GatewayConfig): Promise<RunningRole> {
  const operations = await openOperations('gateway', config);
  const member = new Member(config, operations);
  const { server, health, view } = member;
  // Services are mounted in the same turn in which the port is known: no call comes before them.
  const port = await server.listen(config.host, config.port).catch(async (error: unknown) => {
    member.close();
    await operations.close();
    throw error;
  });
  const membership = member.membership({ service: GATEWAY_SERVICE, status: 'up', capabilities: [], weight: 1 }, port);
  const programs = new ProgramForward({ id: config.id, view, clock: member.clock, nodeOfToken });
  member.mountServices(membership, { agents: undefined, passOn: programs.passOn });
  const { channels, clock, startedAtMs, version, routes } = member;
  server.mount(NodeDefinition, nodeForward({ view, membership, routes, channels, clock, startedAtMs, version }));
  server.mount(RegistryDefinition, registryForward(member.registry, view, clock));

  return serve({
    role: 'gateway',
    id: config.id,
    host: config.host,
    port,
    operations,
    run: (signal) => member.run(membership, signal),
    becomesReady: member.isInStep(membership),
    async shutdown() {
      member.programs?.drain();
      await member.messaging.drain();
      health.close();
      await member.programs?.quiet(SHUTDOWN_GRACE_MS);
      member.programs?.close();
      programs.close();
      await member.messaging.end(SHUTDOWN_GRACE_MS);
      // Not before: whoever sees it leave ends what it still has to do with it.
      await membership.release();
    },
    // Of programs first, then of callers.
    drainMs: 2 * SHUTDOWN_GRACE_MS,
    close: () => member.close(),
  });
}
