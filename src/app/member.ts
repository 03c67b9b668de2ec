import { hostname } from 'node:os';
import { isUnspecified } from '../core/address.js';
import { systemClock } from '../core/clock.js';
import type { InstanceId } from '../core/ids.js';
import type { Instance, InstanceKey, InstanceStatus } from '../core/instance.js';
import { systemRandom } from '../core/random.js';
import { runGroup } from '../core/run-group.js';
import { Membership } from '../discovery/membership.js';
import { feedView } from '../discovery/registry-feed.js';
import { RegistrySession } from '../discovery/registry-session.js';
import { ClusterView } from '../discovery/view.js';
import type { Sessions } from '../messaging/sessions.js';
import type { LocalNodeTasks } from '../node/local-tasks.js';
import { ReceivedTasks } from '../node/received-tasks.js';
import { ChannelPool } from '../rpc/channels.js';
import type { Health } from '../rpc/health-service.js';
import { mountReflection } from '../rpc/reflection-service.js';
import { RpcServer } from '../rpc/server.js';
import { NodeTaskExecutor } from '../tasks/remote-executor.js';
import { TaskTelemetry } from '../tasks/task-telemetry.js';
import { RoutedTasksDefinition, tasksService } from '../tasks/tasks-service.js';
import type { Logger } from '../telemetry/logger.js';
import { Admission } from '../upstream/admission.js';
import { Destinations } from '../upstream/destinations.js';
import { HealthTable } from '../upstream/health-table.js';
import { type HostedLoad, memberReport } from '../upstream/member-status.js';
import { Router } from '../upstream/router.js';
import { NO_POLICY } from '../upstream/routing-policy.js';
import { Selector } from '../upstream/selector.js';
import type { MemberConfig } from './config.js';
import { MemberMessaging } from './messaging.js';
import type { Operations } from './operations.js';
import { mountPrograms, type ProgramParts } from './programs.js';
import { observeMember } from './role-metrics.js';
import { VERSION } from './version.js';

export interface SelfDescription {
  readonly service: string;
  readonly status: InstanceStatus;
  readonly capabilities: readonly string[];
  readonly weight: number;
}

/** What a member that hosts agents does besides. */
interface Hosting {
  readonly onTaken?: (key: InstanceKey) => void;
  /** What it tells of its agents with each heartbeat. */
  readonly load?: () => HostedLoad;
}

/** What nodes and gateways share: a place in the cluster, a view of it, and the Tasks service on top. */
export class Member {
  readonly logger: Logger;
  readonly health: Health;
  readonly clock = systemClock;
  readonly random = systemRandom;
  readonly startedAtMs = systemClock.now();
  readonly version = VERSION;
  readonly view = new ClusterView(systemClock);
  readonly registry: RegistrySession;
  readonly channels = new ChannelPool();
  readonly server: RpcServer;
  /** What it makes of the nodes and agents that it sends tasks to. */
  readonly routes: HealthTable;
  readonly messaging: MemberMessaging;
  /** Attached to this process; undefined until services are mounted. */
  programs: Sessions | undefined;

  constructor(
    private readonly config: MemberConfig,
    readonly operations: Operations,
  ) {
    this.logger = operations.logger;
    this.health = operations.health;
    this.registry = new RegistrySession(config.registry);
    this.server = new RpcServer(operations);
    this.routes = new HealthTable(this);
    this.messaging = new MemberMessaging(config.id, this);
  }

  /** Makes the place in the cluster of a member that serves at `port`. */
  membership(self: SelfDescription, port: number, hosting: Hosting = {}): Membership {
    const { id, zone, leaseTtlSeconds } = this.config;
    const instance: Instance = {
      ...self,
      id: id as InstanceId,
      endpoint: { host: advertisedHost(this.config), port },
      zone,
      metadata: new Map([['version', VERSION]]),
      nodeId: '',
      registeredAtMs: 0,
      incarnation: 0n,
      revision: 0n,
    };
    const { load, ...options } = hosting;
    const report = () => memberReport(this.routes, load?.());
    return new Membership(this, { ttlMs: leaseTtlSeconds * 1000, self: instance, report, ...options });
  }

  /** Mounts Tasks, Messaging, health and reflection. */
  mountServices(membership: Membership, programs: Pick<ProgramParts, 'agents' | 'passOn'>, local?: LocalNodeTasks): void {
    const { view, clock, random, channels, logger } = this;
    const { policy = NO_POLICY, zone, preferZone } = this.config;
    const { metrics, tracing } = this.operations;
    const destinations = new Destinations({ view, health: this.routes, clock, random, zone: preferZone ? zone : '' });
    const router = new Router({ selector: new Selector(destinations, this.routes), clock, random });
    const isIsolated = () => membership.isCutOff || view.status().stale;
    const executor = new NodeTaskExecutor({ links: this.messaging.links, channels, clock, random }, local);
    const received = local && new ReceivedTasks({ tasks: local, clock, logger });
    const isOffered = (capability: string) => view.catalog.withCapability(capability).length > 0;
    const tasks = tasksService({
      router,
      executor,
      view,
      policy,
      admission: new Admission(policy, clock),
      isIsolated,
      clock,
      random,
      defaultStrategy: this.config.strategy,
      telemetry:
        metrics === undefined && tracing === undefined ? undefined : new TaskTelemetry({ metrics, tracing, clock, isOffered }),
    });
    this.server.mount(RoutedTasksDefinition, tasks);
    this.messaging.mount(membership, { executor, received });
    this.programs = mountPrograms(this, { nodeId: this.config.id, tasks, messages: this.messaging.router, ...programs });
    this.health.mount(this.server);
    mountReflection(this.server);
    if (metrics !== undefined) observeMember(metrics, this, membership);
  }

  /** Stays in the cluster and in step with it until `signal` aborts. */
  async run(membership: Membership, signal: AbortSignal): Promise<void> {
    const { registry, view, clock, random, logger } = this;
    const deps = { registry, view, clock, random, logger };
    await registry.lookUpNames(signal);
    return runGroup(
      [
        (each) => registry.follow(each),
        (each) => membership.run(each),
        (each) => feedView({ ...deps, isRecovering: () => membership.isRecovering || view.status().stale }, each),
      ],
      signal,
    );
  }

  /** Resolves when the member is registered and has seen the cluster for the first time. */
  async isInStep(membership: Membership): Promise<void> {
    await membership.joined;
    await this.view.inStepOnce;
  }

  close(): void {
    this.routes.close();
    this.programs?.close();
    this.messaging.close();
    this.channels.close();
    this.registry.close();
  }
}

/** Where others reach a member: what it was told, or where it listens; a wildcard is no address, so then the host's name. */
function advertisedHost({ host, advertiseHost }: MemberConfig): string {
  if (advertiseHost !== undefined) return advertiseHost;
  return isUnspecified(host) ? hostname() : host;
}
