import { afterEach, describe, expect, it } from '@jest/globals';
import { feedView } from '../../../src/discovery/registry-feed.js';
import { RegistrySession } from '../../../src/discovery/registry-session.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { eventually } from '../../support/eventually.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { ServedRegistry } from './served-registry.js';

const toStop: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

async function registryOf(...given: ConstructorParameters<typeof ServedRegistry>): Promise<ServedRegistry> {
  const registry = await new ServedRegistry(...given).start();
  toStop.push(() => registry.stop());
  return registry;
}

function viewOf(registry: ServedRegistry, addresses = [registry.address]) {
  const { clock } = registry.rig;
  const logger = recordingLogger();
  const view = new ClusterView(clock);
  const session = new RegistrySession(addresses);
  const controller = new AbortController();
  const deps = { registry: session, view, clock, random: seededRandom(testSeed), logger, isRecovering: () => false };
  const running = feedView(deps, controller.signal);
  const stop = async () => {
    controller.abort();
    await running;
    session.close();
  };
  toStop.push(stop);
  const keys = () => [...view.catalog.all()].map(({ key }) => key).sort();
  return { view, logger, session, keys, stop };
}

describe('a fed view', () => {
  it('shows what is in the registry, follows it, and tells how old it is', async () => {
    const registry = await registryOf();
    const { leaseId } = await registry.rig.register({ id: 'a', capabilities: ['x'] });
    const { view, keys } = viewOf(registry);
    await view.inStepOnce;
    expect(keys()).toEqual(['agent/a']);
    await registry.rig.registerUnder(leaseId, { id: 'b', capabilities: ['x'] });
    await registry.rig.deregister({ leaseId, instances: [{ service: 'agent', id: 'a' }] });
    await eventually(() => expect(keys()).toEqual(['agent/b']));
    expect(view.catalog.withCapability('x').map(({ instance }) => instance.id)).toEqual(['b']);
    for (let i = 0; i < 8; i++) {
      await registry.rig.store.leases.renew(leaseId);
      await registry.pass(2_500);
    }
    expect(view.status().stale).toBe(false);
    expect(view.status().ageMs).toBeLessThan(4_000);
  });

  it('serves what it knows while the registry is away, and resumes without forgetting anything', async () => {
    const registry = await registryOf();
    const { leaseId } = await registry.rig.register({ id: 'a' }, { id: 'b' });
    const { view, keys, logger } = viewOf(registry);
    await view.inStepOnce;
    const a = view.catalog.get({ service: 'agent', id: 'a' });
    a?.load.begin();
    a?.load.begin();
    await registry.goAway();
    await registry.pass(7_000);
    expect(keys()).toEqual(['agent/a', 'agent/b']);
    expect(view.status().stale).toBe(true);
    expect(logger.at('warn')).toEqual(['registry watch lost; serving what is known']);
    await registry.rig.store.leases.renew(leaseId);
    await registry.rig.registerUnder(leaseId, { id: 'c' });
    await registry.rig.deregister({ leaseId, instances: [{ service: 'agent', id: 'b' }] });
    await registry.start();
    await registry.passUntil(() => expect(keys()).toEqual(['agent/a', 'agent/c']));
    expect(view.catalog.get({ service: 'agent', id: 'a' })?.load.inFlight).toBe(2);
    expect(view.status().stale).toBe(false);
    expect(logger.at('info')).toEqual(['registry watch is back']);
  });

  it('does not say that it lost what it never had', async () => {
    const registry = await registryOf();
    await registry.goAway();
    const { logger, view } = viewOf(registry);
    await registry.passUntil(() => expect(logger.at('warn')).toEqual(['no registry is reached yet; trying on']));
    await registry.start();
    await registry.passUntil(() => expect(view.revision).toBeGreaterThan(0n));
    expect(logger.at('warn')).toHaveLength(1);
    expect(logger.at('info')).toEqual(['registry is reached']);
  });

  it('leaves a registry that falls silent for another', async () => {
    const first = await registryOf();
    const second = new ServedRegistry({ store: first.rig.store });
    toStop.push(() => second.stop());
    await second.start();
    await first.rig.registerRaw({
      instances: [{ service: 'agent', id: 'a', nodeId: 'n', endpoint: { host: 'h', port: 1 } }],
      ttl: { seconds: 60n, nanos: 0 },
    });
    first.overrides = {
      async *watch(request, call) {
        for await (const message of first.rig.service.watch(request, call)) {
          yield message;
          await new Promise<void>((resolve) => call.onCancel(() => resolve()));
        }
      },
    };
    const { view, session, keys } = viewOf(first, [first.address, second.address]);
    await eventually(() => expect(keys()).toEqual(['agent/a']));
    await first.pass(6_000);
    await first.passUntil(() => expect(session.address).toBe(second.address));
    await first.passUntil(() => expect(view.status().ageMs).not.toBe(Number.POSITIVE_INFINITY));
  });

  it('ends when it is told to, and leaves no watcher and no timer behind', async () => {
    const registry = await registryOf();
    const before = registry.rig.clock.pending;
    const { view, stop } = viewOf(registry);
    await view.inStepOnce;
    expect(registry.rig.hub.watchers).toBe(1);
    await stop();
    await eventually(() => expect(registry.rig.hub.watchers).toBe(0));
    expect(registry.rig.clock.pending).toBeLessThanOrEqual(before + 1);
  });
});
