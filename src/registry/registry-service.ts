import { capabilityViolations } from '../agent/manifest.js';
import { hashKey } from '../balancer/hash-key.js';
import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { invalidArgument, invalidFields, TroupeError } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import { AGENT_SERVICE } from '../core/instance.js';
import type { Random } from '../core/random.js';
import { checkService, listInstances } from '../discovery/instance-list.js';
import type { Instance as InstanceMessage } from '../gen/troupe/v1/instance.js';
import type { KeepAliveRequest, KeepAliveResponse, RegistryDefinition } from '../gen/troupe/v1/registry.js';
import type { Call } from '../rpc/call.js';
import { instanceToMessage } from '../rpc/codec/instance.js';
import { routingKeyViolation, strategyFromMessage } from '../rpc/codec/strategy.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { Handlers } from '../rpc/service.js';
import type { Store } from '../store/store.js';
import { Discovery } from './discovery.js';
import { Heartbeats } from './heartbeats.js';
import { MemberReports } from './member-reports.js';
import type { Mirror } from './mirror.js';
import type { Registrar } from './registrar.js';
import { capabilityStats, reportedCircuits, serviceStats } from './stats.js';
import type { StoredInstance } from './stored-instance.js';
import { checkReport } from './validation.js';
import type { WatchHub } from './watch-hub.js';

export interface RegistryServiceDeps {
  readonly store: Store;
  readonly mirror: Mirror;
  readonly hub: WatchHub;
  readonly registrar: Registrar;
  /** Whether this registry leads now. */
  readonly isLeading: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

export interface RegistryServiceOptions {
  /**
   * For so long after its start, a registry whose store does not outlive it lets watchers that knew a cluster wait: the nodes register
   * again meanwhile, and nobody is told of an empty cluster.
   */
  readonly recoveryMs: number;
}

/** A change answers when its own registry shows it, or after this. */
const OWN_WRITES_MS = 1_000;
const CATCH_UP_MS = 2_000;

/** The Registry service. */
export function registryService(
  deps: RegistryServiceDeps,
  { recoveryMs }: RegistryServiceOptions,
): Handlers<typeof RegistryDefinition> {
  const { store, mirror, hub, registrar, isLeading, clock } = deps;
  const heartbeats = new Heartbeats(store.leases, clock);
  const reports = new MemberReports();
  const reportOf = (leaseId: bigint) => reports.of(leaseId);
  const discovery = new Discovery(deps);
  const startedAt = new Date(clock.now());
  const startedAtMs = clock.monotonicMs();
  let keepAlives = 0;

  const requireReady = () => {
    if (!mirror.isReady)
      throw new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'the registry has not reached its store yet; try again', {
        retryAfterMs: 1_000,
      });
  };
  const age = () => durationFromMs(mirror.ageMs());
  const withHeartbeats = async (all: readonly StoredInstance[]): Promise<InstanceMessage[]> => {
    const known = await heartbeats.of(all.map(({ leaseId }) => leaseId));
    return all.map(({ instance, leaseId }) => instanceToMessage(instance, known.get(leaseId)));
  };
  const one = async (stored: StoredInstance): Promise<InstanceMessage | undefined> => (await withHeartbeats([stored]))[0];

  async function* keepAlive(requests: AsyncIterable<KeepAliveRequest>): AsyncGenerator<KeepAliveResponse, void, undefined> {
    const stream = reports.open();
    keepAlives += 1;
    try {
      for await (const { leaseId, sequence, report } of requests) {
        if (leaseId <= 0n) throw invalidArgument('lease_id', 'is required: the lease that Register gave');
        if (report !== undefined) checkReport(report);
        const ttlSeconds = await store.leases.renew(leaseId);
        heartbeats.renewed(leaseId);
        stream.renewed(leaseId, report);
        yield { leaseId, sequence, ttl: durationFromMs(ttlSeconds * 1000) };
      }
    } finally {
      keepAlives -= 1;
      stream.end();
    }
  }

  async function* watch(service: string, fromRevision: bigint, call: Call) {
    requireReady();
    const recoverFor = startedAtMs + recoveryMs - clock.monotonicMs();
    if (fromRevision > 0n && recoverFor > 0) await delay(recoverFor, call.signal, clock);
    else if (fromRevision > mirror.catalog.revision) await mirror.reached(fromRevision, CATCH_UP_MS);
    yield* hub.watch(service, fromRevision, call.signal);
  }

  return {
    async register(request) {
      const { leaseId, ttlSeconds, instances, revision } = await registrar.register(request);
      heartbeats.renewed(leaseId);
      await mirror.reached(revision, OWN_WRITES_MS);
      return { leaseId, ttl: durationFromMs(ttlSeconds * 1000), instances: await withHeartbeats(instances), revision };
    },
    async deregister(request) {
      const revision = await registrar.deregister(request);
      if (request.instances.length === 0) {
        heartbeats.forget(request.leaseId);
        reports.forget(request.leaseId);
      }
      await mirror.reached(revision, OWN_WRITES_MS);
      return { revision };
    },
    keepAlive,
    async updateInstance(request) {
      const stored = await registrar.update(request);
      await mirror.reached(stored.instance.revision, OWN_WRITES_MS);
      return { instance: await one(stored) };
    },
    getInstance: async ({ key }) => ({ instance: await one(await registrar.get(key)) }),
    async listInstances(request) {
      requireReady();
      const { revision } = mirror.catalog;
      const { items, nextPageToken } = listInstances(mirror.catalog, request);
      return { instances: await withHeartbeats(items), nextPageToken, revision, age: age() };
    },
    async discover({ service: given, capabilities, strategy: asked, routingKey }) {
      requireReady();
      const service = given === '' ? AGENT_SERVICE : given;
      const strategy = strategyFromMessage(asked, 'round_robin');
      const wrong = [
        idViolation('service', service),
        ...capabilityViolations('capabilities', capabilities),
        routingKeyViolation('routing_key', routingKey, strategy),
      ].filter((violation) => violation !== undefined);
      if (strategy === undefined) wrong.push({ field: 'strategy', description: 'is not a strategy that this version knows' });
      if (strategy === undefined || wrong.length > 0) throw invalidFields(wrong);
      return {
        instance: await one(
          discovery.choose(mirror.catalog, {
            service,
            capabilities,
            strategy,
            hash: routingKey === '' ? undefined : hashKey(routingKey),
          }),
        ),
        revision: mirror.catalog.revision,
        age: age(),
      };
    },
    watch({ service, fromRevision }, call) {
      checkService(service);
      if (fromRevision < 0n) throw invalidArgument('from_revision', 'must not be negative');
      return watch(service, fromRevision, call);
    },
    getStats() {
      requireReady();
      const { catalog } = mirror;
      return {
        instances: catalog.size,
        services: serviceStats(catalog, reportOf),
        capabilities: capabilityStats(catalog),
        watchers: hub.watchers,
        keepAlives,
        revision: catalog.revision,
        age: age(),
        startedAt,
        circuits: reportedCircuits(catalog, reportOf),
        leading: isLeading(),
      };
    },
  };
}
