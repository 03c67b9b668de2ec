import { MAX_CAPABILITIES, type ManifestInput } from '../../agent/manifest.js';
import { TroupeError } from '../../core/errors.js';
import { AGENT_SERVICE, NODE_SERVICE } from '../../core/instance.js';
import { agentCircuit } from '../../node/agent-status.js';
import { Executions } from '../../node/executions.js';
import { LocalNodeTasks } from '../../node/local-tasks.js';
import { ManifestStore } from '../../node/manifest-store.js';
import { AgentNode } from '../../node/node.js';
import { nodeService, RoutedNodeDefinition } from '../../node/node-service.js';
import { AgentHost } from '../../runtime/host.js';
import { INSTRUMENTS } from '../../telemetry/instruments.js';
import type { NodeConfig } from '../config.js';
import { Member } from '../member.js';
import { openOperations } from '../operations.js';
import { type RunningRole, serve } from '../role.js';
import { observeHost } from '../role-metrics.js';

/** A node in this process. */
export interface RunningNode extends RunningRole {
  /** As Node.DeployAgent, on this node. The manifest has been checked. */
  deploy(manifest: ManifestInput): Promise<unknown>;
}

const SHUTDOWN_GRACE_MS = 2_000;

/** Listens at once, and is ready when it is registered and its agents of before are back. @throws UNAVAILABLE / PORT_IN_USE, INVALID_ARGUMENT. */
export async function startNode(config: NodeConfig): Promise<RunningNode> {
  const operations = await openOperations('node', config);
  const member = new Member(config, operations);
  const { server, health, logger, clock, view, routes, startedAtMs, version } = member;
  const { metrics, tracing } = operations;
  const nodeId = config.id;
  const store = new ManifestStore(config.dataDir, logger);
  let host: AgentHost;
  let manifests: readonly ManifestInput[];
  let port: number;
  try {
    manifests = await store.load();
    const onCircuit = metrics && ((to: string) => metrics.counter(INSTRUMENTS.circuitTransitions, to).add());
    host = new AgentHost(config.agents, { nodeId, clock, logger, post: member.messaging.office, tracing, onCircuit });
    if (host.definitions.length > MAX_CAPABILITIES) {
      throw new TroupeError(
        'INVALID_ARGUMENT',
        'TOO_MANY_KINDS',
        `a node takes at most ${MAX_CAPABILITIES} agent kinds, got ${host.definitions.length}; start another node`,
      );
    }
    // Services are mounted in the same turn in which the port is known: no call comes before them.
    port = await server.listen(config.host, config.port);
  } catch (error) {
    member.close();
    await operations.close();
    throw error;
  }
  const self = {
    service: NODE_SERVICE,
    status: 'starting',
    capabilities: host.definitions.map(({ kind }) => kind),
    weight: config.weight,
  } as const;
  const membership = member.membership(self, port, {
    onTaken: ({ service, id }) => {
      if (service === AGENT_SERVICE) void node.giveUp(id);
    },
    load: () => ({ ...host.totals(), circuits: host.list().flatMap((status) => agentCircuit(status) ?? []) }),
  });
  const onDrain = () => {
    health.set(false);
    member.programs?.drain();
  };
  const node = new AgentNode({ host, membership, manifests: store, clock, logger, onDrain });
  const processLoad = operations.load;
  const executions = metrics === undefined && tracing === undefined ? undefined : new Executions({ metrics, tracing, clock });
  const tasks = new LocalNodeTasks({ nodeId, host, membership, clock, processLoad, executions });
  if (metrics !== undefined) observeHost(metrics, host);
  member.mountServices(membership, { agents: node }, tasks);
  server.mount(
    RoutedNodeDefinition,
    nodeService({ nodeId, host, node, tasks, membership, view, routes, clock, startedAtMs, version, processLoad }),
  );

  const restore = async () => {
    await member.isInStep(membership);
    await node.restore([...manifests, ...(config.ownAgents ?? [])]);
    await membership.setStatus('up');
  };
  const role = serve({
    role: 'node',
    id: nodeId,
    host: config.host,
    port,
    operations,
    run: (signal) => member.run(membership, signal),
    becomesReady: restore(),
    async shutdown() {
      const untilMs = clock.monotonicMs() + config.drainGraceMs;
      await node.drain(config.drainGraceMs);
      // What programs wait for may be done by others.
      await member.programs?.quiet(untilMs - clock.monotonicMs());
      member.programs?.close();
      await member.messaging.drain();
      health.close();
      tasks.close();
      await member.messaging.end(SHUTDOWN_GRACE_MS);
      // Not before: whoever sees it leave ends what it still has to do with it.
      await membership.release();
    },
    drainMs: config.drainGraceMs,
    close: () => member.close(),
  });
  return { ...role, deploy: (manifest) => node.deploy(manifest) };
}
