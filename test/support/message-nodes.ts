import { type AgentOptions, defineAgent } from '../../src/agent/define-agent.js';
import type { ManifestInput } from '../../src/agent/manifest.js';
import type { Messenger } from '../../src/agent/messages.js';
import { systemClock } from '../../src/core/clock.js';
import { AGENT_SERVICE, INTEREST_PATTERN, INTEREST_SERVICE, NODE_SERVICE } from '../../src/core/instance.js';
import { ClusterView } from '../../src/discovery/view.js';
import { Links } from '../../src/link/links.js';
import { DeadLetters } from '../../src/messaging/dead-letters.js';
import { Directory } from '../../src/messaging/directory.js';
import { HeldMessages } from '../../src/messaging/held-messages.js';
import { InterestView } from '../../src/messaging/interest-view.js';
import { MessageRouter } from '../../src/messaging/message-router.js';
import { AgentPostOffice, Sender } from '../../src/messaging/post-office.js';
import { Subscriptions } from '../../src/messaging/subscriptions.js';
import { ChannelPool } from '../../src/rpc/channels.js';
import { RpcServer } from '../../src/rpc/server.js';
import { AgentHost } from '../../src/runtime/host.js';
import { silentLogger } from '../../src/telemetry/logger.js';
import { instanceOf } from '../unit/discovery/instances.js';
import { cleanUp } from './clean-up.js';
import { seededRandom, testSeed } from './seeded-random.js';
import { TcpProxy } from './tcp-proxy.js';

type Kind = Omit<Partial<AgentOptions<unknown, unknown>>, 'capabilities'>;

const NOTHING = () => null;

/** What carries the messages of a node, and its agents, with real links to the others, but without a registry: tests say who is where. */
export class MessageNode {
  readonly view = new ClusterView(systemClock);
  readonly channels = new ChannelPool();
  readonly server = new RpcServer({ logger: silentLogger });
  readonly deadLetters = new DeadLetters(systemClock);
  readonly links: Links;
  readonly router: MessageRouter;
  readonly office: AgentPostOffice;
  private readonly random = seededRandom(testSeed);
  private readonly hosts = new Map<string, AgentHost>();
  private readonly directory: Directory;
  private readonly interest: InterestView;

  constructor(
    readonly id: string,
    private readonly cluster: MessageCluster,
  ) {
    const { view, random, channels } = this;
    const clock = systemClock;
    this.directory = new Directory(view, clock, (agentId) => this.router.found(agentId));
    this.interest = new InterestView(view);
    const own = {
      want: async (pattern: string) => cluster.want(id, pattern, true),
      unwant: (pattern: string) => cluster.want(id, pattern, false),
    };
    this.router = new MessageRouter({
      nodeId: id,
      directory: this.directory,
      held: new HeldMessages(clock),
      subscriptions: new Subscriptions(own, this.interest),
      deadLetters: this.deadLetters,
      clock,
      random,
      links: () => this.links,
    });
    this.links = new Links(
      { nodeId: id, channels, view, clock, random, logger: silentLogger },
      {
        envelope: (peer, envelope) => this.router.receive(peer, envelope),
        task: () => undefined,
        outcome: () => undefined,
        broken: (peer) => this.router.broken(peer),
        unsent: (peer, error) => this.router.unsent(peer, error),
      },
    );
    this.office = new AgentPostOffice({ messages: this.router, clock, random });
  }

  /** Starts an agent here; others learn of it with `cluster.place`. */
  async start(id: string, kind: Kind, manifest: Partial<ManifestInput> = {}): Promise<void> {
    const definition = defineAgent<unknown, unknown>({ kind: 'kind', capabilities: ['any'], run: NOTHING, ...kind });
    const deps = { nodeId: this.id, clock: systemClock, logger: silentLogger, post: this.office };
    const host = new AgentHost([definition], deps);
    this.hosts.set(id, host);
    await host.activate({ id, kind: definition.kind, ...manifest });
  }

  /** Starts an agent here that all know of. */
  async deploy(id: string, kind: Kind, manifest: Partial<ManifestInput> = {}): Promise<void> {
    await this.start(id, kind, manifest);
    this.cluster.place(id, this.id);
  }

  /** Stops an agent; others know of it until `cluster.remove`. */
  async stop(id: string, graceMs = 1_000): Promise<void> {
    const host = this.hosts.get(id);
    this.hosts.delete(id);
    await host?.deactivate(id, graceMs);
  }

  counts(id: string) {
    return this.hosts.get(id)?.find(id)?.status().messages;
  }

  /** Sends as a client of this process does. */
  sender(from = 'client-1'): Messenger {
    return new Sender(from, { messages: this.router, clock: systemClock, random: this.random });
  }

  /** Ends all, as a process that is killed does. */
  async kill(): Promise<void> {
    this.router.close(new Error('closed') as never);
    this.links.close();
    this.directory.close();
    this.interest.close();
    this.channels.close();
    await this.server.shutdown(0);
  }
}

/** Nodes that know what tests tell them. */
export class MessageCluster {
  private revision = 1n;
  private readonly wanted = new Map<string, number>();

  private constructor(
    readonly nodes: readonly MessageNode[],
    /** Before each node, where links are cut. */
    readonly proxies: readonly TcpProxy[],
  ) {}

  static async start(count: number): Promise<MessageCluster> {
    const nodes: MessageNode[] = [];
    const proxies: TcpProxy[] = [];
    const cluster = new MessageCluster(nodes, proxies);
    const ports: number[] = [];
    for (let n = 1; n <= count; n++) {
      const node = new MessageNode(`node-${n}`, cluster);
      const port = await node.server.listen('127.0.0.1', 0);
      node.links.mount(node.server);
      const proxy = await TcpProxy.start(port);
      ports.push(Number(new URL(proxy.endpoint).port));
      nodes.push(node);
      proxies.push(proxy);
      cleanUp(async () => {
        await node.kill();
        await proxy.stop();
      });
    }
    for (const [index, { id }] of nodes.entries()) {
      const endpoint = { host: '127.0.0.1', port: ports[index] as number };
      cluster.tell((view, revision) =>
        view.apply([{ kind: 'put', instance: instanceOf(NODE_SERVICE, id, { endpoint }) }], revision),
      );
    }
    return cluster;
  }

  node(number: number): MessageNode {
    return this.nodes[number - 1] as MessageNode;
  }

  /** All learn that an agent is at a node; or those of `who` alone. */
  place(agentId: string, nodeId: string, who: readonly MessageNode[] = this.nodes): void {
    const instance = instanceOf(AGENT_SERVICE, agentId, { nodeId });
    this.tell((view, revision) => view.apply([{ kind: 'put', instance }], revision), who);
  }

  /** All learn that an agent has left; or those of `who` alone. */
  remove(agentId: string, who: readonly MessageNode[] = this.nodes): void {
    const key = { service: AGENT_SERVICE, id: agentId };
    this.tell((view, revision) => view.apply([{ kind: 'removed', key }], revision), who);
  }

  /** All learn that a node has gone. */
  lose(nodeId: string, who: readonly MessageNode[] = this.nodes): void {
    this.tell((view, revision) => view.apply([{ kind: 'removed', key: { service: NODE_SERVICE, id: nodeId } }], revision), who);
  }

  want(nodeId: string, pattern: string, isWanted: boolean): void {
    const id = `${nodeId}/${pattern}`;
    const count = (this.wanted.get(id) ?? 0) + (isWanted ? 1 : -1);
    this.wanted.set(id, count);
    const instance = instanceOf(INTEREST_SERVICE, id, { nodeId, metadata: new Map([[INTEREST_PATTERN, pattern]]) });
    this.tell((view, revision) =>
      view.apply([count > 0 ? { kind: 'put', instance } : { kind: 'removed', key: instance }], revision),
    );
  }

  private tell(what: (view: ClusterView, revision: bigint) => void, who: readonly MessageNode[] = this.nodes): void {
    this.revision += 1n;
    for (const { view } of who) what(view, this.revision);
  }
}
