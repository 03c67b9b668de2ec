import { systemClock } from '../../core/clock.js';
import { isTroupeError, messageOf, TroupeError } from '../../core/errors.js';
import { systemRandom } from '../../core/random.js';
import { runGroup } from '../../core/run-group.js';
import { RegistryDefinition } from '../../gen/troupe/v1/registry.js';
import { Mirror } from '../../registry/mirror.js';
import { Registrar } from '../../registry/registrar.js';
import { registryService } from '../../registry/registry-service.js';
import { WatchHub } from '../../registry/watch-hub.js';
import { mountReflection } from '../../rpc/reflection-service.js';
import { RpcServer } from '../../rpc/server.js';
import { Keys } from '../../store/keys.js';
import { measuredStore } from '../../store/measured-store.js';
import { MemoryStore } from '../../store/memory-store.js';
import type { Store } from '../../store/store.js';
import type { Logger } from '../../telemetry/logger.js';
import type { RegistryConfig } from '../config.js';
import { openOperations } from '../operations.js';
import { RegistryLeader } from '../registry-leader.js';
import { type RunningRole, serve } from '../role.js';
import { observeRegistry } from '../role-metrics.js';

/** A registry on a memory store forgets the cluster when it restarts; the nodes are back well within this. */
const MEMORY_RECOVERY_MS = 3_000;
const SHUTDOWN_GRACE_MS = 2_000;
const FIRST_READ_MS = 5_000;

/** @throws UNAVAILABLE / STORE_UNAVAILABLE when the store does not answer, PORT_IN_USE, INVALID_ARGUMENT. */
export async function startRegistry(config: RegistryConfig): Promise<RunningRole> {
  const operations = await openOperations('registry', config);
  const { logger, health, metrics } = operations;
  const opened = await openStore(config, logger).catch(async (error: unknown) => {
    await operations.close();
    throw error;
  });
  const store = metrics === undefined ? opened : measuredStore(opened, metrics, systemClock);
  const deps = { store, keys: new Keys(config.prefix), clock: systemClock, random: systemRandom, logger };
  const mirror = new Mirror(deps);
  const hub = new WatchHub(mirror, systemClock);
  const registrar = new Registrar(deps);
  const leader = new RegistryLeader({ ...deps, mirror, registrar, registryId: config.id });
  const server = new RpcServer(operations);
  server.mount(
    RegistryDefinition,
    registryService(
      { ...deps, mirror, hub, registrar, isLeading: () => leader.isLeading },
      { recoveryMs: config.store.kind === 'memory' ? MEMORY_RECOVERY_MS : 0 },
    ),
  );
  health.mount(server);
  mountReflection(server);
  if (metrics !== undefined) observeRegistry(metrics, { hub, leader, mirror });

  try {
    await requireStore(config, store);
    const port = await server.listen(config.host, config.port);
    return serve({
      role: 'registry',
      id: config.id,
      host: config.host,
      port,
      operations,
      run: (signal) => runGroup([(each) => mirror.run(each), (each) => hub.run(each), (each) => leader.run(each)], signal),
      becomesReady: mirror.firstRead,
      async shutdown() {
        leader.resign();
        health.close();
        await server.shutdown(SHUTDOWN_GRACE_MS);
      },
      close: () => store.close(),
    });
  } catch (error) {
    await server.shutdown(0);
    await store.close();
    await operations.close();
    throw error;
  }
}

async function openStore({ store }: RegistryConfig, logger: Logger): Promise<Store> {
  const deps = { clock: systemClock, random: systemRandom, logger };
  switch (store.kind) {
    case 'memory':
      // Beyond the revisions of any earlier life of this registry, so that nobody resumes a watch across two of them.
      return new MemoryStore(deps, { initialRevision: BigInt(systemClock.now()) });
    case 'etcd': {
      // Loaded where it is used: it is the largest part of a start.
      const { EtcdStore } = await import('../../store/etcd-store.js');
      return new EtcdStore(deps, store.options);
    }
  }
}

/** A store that is not there is told at once and clearly, rather than by everything that then fails. */
async function requireStore({ store: config, prefix }: RegistryConfig, store: Store): Promise<void> {
  try {
    await store.get(`${prefix}/v1/probe`, AbortSignal.timeout(FIRST_READ_MS));
  } catch (error) {
    if (config.kind !== 'etcd' || (isTroupeError(error) && error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED'))
      throw error;
    const where = config.options.endpoints.join(', ');
    throw new TroupeError(
      'UNAVAILABLE',
      'STORE_UNAVAILABLE',
      `no etcd answers at ${where} (${messageOf(error)}); start it, or give --etcd`,
      { cause: error },
    );
  }
}
