import type { AnyAgentDefinition } from '../../../src/agent/define-agent.js';
import { systemClock } from '../../../src/core/clock.js';
import { systemRandom } from '../../../src/core/random.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { Links } from '../../../src/link/links.js';
import { LocalNodeTasks } from '../../../src/node/local-tasks.js';
import { ReceivedTasks } from '../../../src/node/received-tasks.js';
import { ChannelPool } from '../../../src/rpc/channels.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { AgentHost } from '../../../src/runtime/host.js';
import { NodeTaskExecutor } from '../../../src/tasks/remote-executor.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { cleanUp } from '../../support/clean-up.js';
import { silentPost } from '../../support/silent-post.js';
import { agentOf, nodeOf } from '../discovery/instances.js';

const IDLE = { current: { eventLoopDelayMs: 0, cpuCores: 0 } };

/** What does tasks over links in one process, and what knows where the others are. */
export class LinkedProcess {
  readonly view = new ClusterView(systemClock);
  readonly channels = new ChannelPool();
  readonly server = new RpcServer({ logger: silentLogger });
  readonly host: AgentHost;
  readonly received: ReceivedTasks;
  readonly executor: NodeTaskExecutor;
  readonly links: Links;
  port = 0;
  private hasEnded = false;

  constructor(
    readonly nodeId: string,
    definitions: readonly AnyAgentDefinition[] = [],
  ) {
    const { view, channels } = this;
    const deps = { clock: systemClock, logger: silentLogger };
    this.host = new AgentHost(definitions, { ...deps, nodeId, post: silentPost });
    const membership = { isFenced: false };
    const tasks = new LocalNodeTasks({ nodeId, host: this.host, membership, clock: systemClock, processLoad: IDLE });
    this.received = new ReceivedTasks({ ...deps, tasks });
    this.links = new Links(
      { ...deps, nodeId, channels, view, random: systemRandom },
      {
        envelope: () => undefined,
        task: (peer, task) => this.received.task(peer, task),
        outcome: (peer, outcome) => this.executor.outcome(peer, outcome),
        broken: (peer, error) => {
          this.executor.broken(peer, error);
          this.received.broken(peer);
        },
        unsent: (peer, error) => this.executor.unsent(peer, error),
      },
    );
    this.executor = new NodeTaskExecutor({ links: this.links, channels, clock: systemClock, random: systemRandom });
  }

  async start(port = 0): Promise<this> {
    this.links.mount(this.server);
    this.port = await this.server.listen('127.0.0.1', port);
    cleanUp(() => this.stop());
    return this;
  }

  /** As if it were gone from one moment to the other. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.hasEnded = true;
    await this.host.stopAll(0);
    this.links.close();
    this.channels.close();
    await this.server.shutdown(0);
  }

  /** It learns where node `nodeId` is, and of an agent there. */
  knows(nodeId: string, port: number, agentId = 'probe-1') {
    const endpoint = { host: '127.0.0.1', port };
    this.view.apply(
      [
        { kind: 'put', instance: nodeOf(nodeId, { endpoint }) },
        { kind: 'put', instance: agentOf(agentId, ['x'], { nodeId, endpoint }) },
      ],
      this.view.revision + 1n,
    );
    const target = this.view.catalog.get({ service: 'agent', id: agentId });
    if (target === undefined) throw new Error('no such agent');
    return target;
  }

  /** It learns that node `nodeId` has left. */
  forgets(nodeId: string): void {
    this.view.apply([{ kind: 'removed', key: { service: 'node', id: nodeId } }], this.view.revision + 1n);
  }
}
