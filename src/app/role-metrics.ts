import { AGENT_SERVICE, GATEWAY_SERVICE, NODE_SERVICE } from '../core/instance.js';
import type { Membership } from '../discovery/membership.js';
import type { ClusterView } from '../discovery/view.js';
import type { Sessions } from '../messaging/sessions.js';
import type { Mirror } from '../registry/mirror.js';
import type { WatchHub } from '../registry/watch-hub.js';
import type { AgentHost } from '../runtime/host.js';
import { INSTRUMENTS } from '../telemetry/instruments.js';
import type { Metrics, Reading } from '../telemetry/metrics.js';
import type { HealthTable } from '../upstream/health-table.js';
import type { MemberMessaging } from './messaging.js';
import type { RegistryLeader } from './registry-leader.js';

/** The parts of a member that tell how it is. */
export interface ObservedMember {
  readonly view: ClusterView;
  readonly routes: HealthTable;
  readonly messaging: MemberMessaging;
  /** Undefined until services are mounted. */
  readonly programs: Sessions | undefined;
}

/** Has the metrics of a node or gateway read what its parts count anyway: that costs nothing but a look at each scrape. */
export function observeMember(metrics: Metrics, member: ObservedMember, membership: Membership): void {
  const { view, routes, messaging } = member;
  const { links, router, deadLetters } = messaging;

  metrics.observe(INSTRUMENTS.leaseAge, () => known(membership.leaseAgeMs));
  metrics.observe(INSTRUMENTS.leaseTtl, () => (membership.lease.kind === 'held' ? membership.lease.ttlMs / 1_000 : []));
  metrics.observe(INSTRUMENTS.leaseLost, () => membership.leasesLost);
  metrics.observe(INSTRUMENTS.viewAge, () => known(view.status().ageMs));
  metrics.observe(INSTRUMENTS.viewInstances, () => instancesIn(view.catalog));

  metrics.observe(INSTRUMENTS.healthTransitions, () => readings(routes.transitions.health));
  metrics.observe(INSTRUMENTS.circuitTransitions, () => readings(routes.transitions.circuits));
  metrics.observe(INSTRUMENTS.endpoints, () => {
    const states = new Map<string, Map<string, number>>();
    const bad = new Map<string, number>();
    for (const { service, kind } of routes.unhealthy()) {
      const ofService = states.get(service) ?? new Map<string, number>();
      states.set(service, ofService.set(kind, (ofService.get(kind) ?? 0) + 1));
      bad.set(service, (bad.get(service) ?? 0) + 1);
    }
    return [NODE_SERVICE, AGENT_SERVICE].flatMap((service): Reading[] => [
      [[service, 'healthy'], count(view.catalog.ofService(service)) - (bad.get(service) ?? 0)],
      ...[...(states.get(service) ?? [])].map(([kind, value]): Reading => [[service, kind], value]),
    ]);
  });

  metrics.observe(INSTRUMENTS.messages, () => router.counts.readings());
  metrics.observe(INSTRUMENTS.deadLetters, () => readings(deadLetters.byReason));
  metrics.observe(INSTRUMENTS.topics, () => messaging.topicsWanted);
  metrics.observe(INSTRUMENTS.sessions, () => {
    const { agents, clients } = member.programs?.counts() ?? { agents: 0, clients: 0 };
    return [
      [['agent'], agents],
      [['client'], clients],
    ];
  });
  metrics.observe(INSTRUMENTS.links, () => {
    const { up, down } = links.counts();
    return [
      [['up'], up],
      [['down'], down],
    ];
  });
  metrics.observe(INSTRUMENTS.linkQueued, () => links.counts().queuedBytes);
  metrics.observe(INSTRUMENTS.linkSent, () => links.traffic.sentBytes);
  metrics.observe(INSTRUMENTS.linkReceived, () => links.traffic.receivedBytes);
  metrics.observe(INSTRUMENTS.linkSentEnvelopes, () => links.traffic.sentEnvelopes);
  metrics.observe(INSTRUMENTS.linkReceivedEnvelopes, () => links.traffic.receivedEnvelopes);
}

/** The same for the agents of a node. */
export function observeHost(metrics: Metrics, host: AgentHost): void {
  metrics.observe(INSTRUMENTS.tasksInFlight, () => host.totals().inFlight);
  metrics.observe(INSTRUMENTS.tasksQueued, () => host.totals().queued);
  metrics.observe(INSTRUMENTS.mailboxMessages, () => host.list().reduce((sum, { messages }) => sum + messages.queued, 0));
  metrics.observe(INSTRUMENTS.nodeAgents, () => host.list().map(({ manifest }) => [[manifest.kind], 1] as const));
}

/** The parts of a registry that tell how it is. */
export interface ObservedRegistry {
  readonly hub: WatchHub;
  readonly leader: RegistryLeader;
  readonly mirror: Mirror;
}

/** The same for a registry. */
export function observeRegistry(metrics: Metrics, { hub, leader, mirror }: ObservedRegistry): void {
  metrics.observe(INSTRUMENTS.registryWatchers, () => hub.watchers);
  metrics.observe(INSTRUMENTS.registryLeading, () => (leader.isLeading ? 1 : 0));
  metrics.observe(INSTRUMENTS.registryMirrorAge, () => mirror.ageMs() / 1_000);
  metrics.observe(INSTRUMENTS.registryInstances, () => instancesIn(mirror.catalog));
}

function instancesIn(catalog: { ofService(service: string): Iterable<unknown> }): Reading[] {
  return [NODE_SERVICE, AGENT_SERVICE, GATEWAY_SERVICE].map((service) => [[service], count(catalog.ofService(service))]);
}

/** Nothing where it is not known: 0 would say that all is well. */
function known(ms: number | undefined): number | Reading[] {
  return ms === undefined || !Number.isFinite(ms) ? [] : ms / 1_000;
}

function readings(counts: ReadonlyMap<string, number>): Reading[] {
  return [...counts].map(([label, value]) => [[label], value]);
}

function count(things: Iterable<unknown>): number {
  let counted = 0;
  for (const _ of things) counted += 1;
  return counted;
}
