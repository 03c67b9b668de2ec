import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { fenceMarginMs } from '../../../src/core/fence.js';
import type { Instance, InstanceKey } from '../../../src/core/instance.js';
import { Membership } from '../../../src/discovery/membership.js';
import { RegistrySession } from '../../../src/discovery/registry-session.js';
import { InstanceStatus as Status } from '../../../src/gen/troupe/v1/instance.js';
import type { MemberReport } from '../../../src/gen/troupe/v1/registry.js';
import { eventually } from '../../support/eventually.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { agentOf, nodeOf } from './instances.js';
import { ServedRegistry } from './served-registry.js';

const TTL_MS = 10_000;
const toStop: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

async function registryOf(...given: ConstructorParameters<typeof ServedRegistry>): Promise<ServedRegistry> {
  const registry = await new ServedRegistry(...given).start();
  toStop.push(() => registry.stop());
  return registry;
}

/** A process that joins, and its place in the cluster. */
function memberOf(
  registry: ServedRegistry,
  self: Instance = nodeOf('node-1'),
  addresses = [registry.address],
  report?: () => MemberReport,
) {
  const { clock } = registry.rig;
  const logger = recordingLogger();
  const session = new RegistrySession(addresses);
  const taken: InstanceKey[] = [];
  const deps = { registry: session, clock, random: seededRandom(testSeed), logger };
  const membership = new Membership(deps, { ttlMs: TTL_MS, self, onTaken: (key) => taken.push(key), ...(report && { report }) });
  const controller = new AbortController();
  const running = membership.run(controller.signal);
  const stop = async () => {
    controller.abort();
    await running;
    session.close();
  };
  toStop.push(stop);
  return { membership, logger, taken, running, stop, session };
}

/** Everything in the registry as `service/id status`. */
async function listed(registry: ServedRegistry): Promise<string[]> {
  const { instances } = await registry.rig.list({ pageSize: 1_000 });
  return instances.map(({ service, id, status }) => `${service}/${id} ${Status[status].replace('INSTANCE_STATUS_', '')}`);
}

async function joined(given: ReturnType<typeof memberOf>): Promise<ReturnType<typeof memberOf>> {
  await given.membership.joined;
  return given;
}

describe('Membership', () => {
  it('tells with each renewal how the process is', async () => {
    const registry = await registryOf();
    let inFlight = 0;
    const report = () => {
      inFlight += 1;
      return { inFlight, queued: 7, circuits: [] };
    };
    await joined(memberOf(registry, nodeOf('node-1'), [registry.address], report));
    const told = async () => (await registry.rig.stats()).services[0];
    await registry.passUntil(async () => expect(await told()).toMatchObject({ inFlight, queued: 7, reporting: 1 }));
    await registry.pass(TTL_MS);
    expect(inFlight).toBeGreaterThanOrEqual(3);
    // The last one may still be on its way.
    await eventually(async () => expect(await told()).toMatchObject({ inFlight, queued: 7 }));
  });

  it('joins, stays by renewing, and takes what it puts and removes along', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    expect(membership.lease).toMatchObject({ kind: 'held', ttlMs: TTL_MS });
    await membership.put(agentOf('a', ['x']));
    await membership.put(agentOf('b', ['x']));
    await membership.remove([{ service: 'agent', id: 'a' }]);
    await registry.pass(30_000);
    expect(await listed(registry)).toEqual(['agent/b UP', 'node/node-1 UP']);
    expect(membership.isFenced).toBe(false);
    expect((await registry.rig.stats()).keepAlives).toBe(1);
  });

  it('gives everything back when it is released', async () => {
    const registry = await registryOf();
    const { membership, running } = await joined(memberOf(registry));
    await membership.put(agentOf('a', ['x']));
    await membership.release();
    expect(await listed(registry)).toEqual([]);
    expect(membership.lease).toEqual({ kind: 'released' });
    expect(membership.isFenced).toBe(true);
    await running;
    await eventually(async () => expect((await registry.rig.stats()).keepAlives).toBe(0));
    await expect(membership.put(agentOf('b', ['x']))).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'NOT_JOINED' });
  });

  it('tells its status', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry, nodeOf('node-1', { status: 'starting' })));
    expect(await listed(registry)).toEqual(['node/node-1 STARTING']);
    await membership.setStatus('up');
    await membership.setStatus('stopping');
    expect(await listed(registry)).toEqual(['node/node-1 STOPPING']);
    expect(membership.self.status).toBe('stopping');
  });

  it('is fenced before its lease can have expired, and not while it renews', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    await registry.pass(20_000);
    expect(membership.isFenced).toBe(false);
    await registry.goAway();
    const { lease } = membership;
    const left = lease.kind === 'held' ? lease.fenceAtMs - registry.rig.clock.monotonicMs() : 0;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(TTL_MS - fenceMarginMs(TTL_MS));
    await registry.rig.clock.advance(left - 1);
    expect(membership.isFenced).toBe(false);
    await registry.rig.clock.advance(1);
    expect(membership.isFenced).toBe(true);
    const leaseId = lease.kind === 'held' ? lease.leaseId : 0n;
    expect(await registry.rig.store.leases.timeToLive(leaseId)).toBeDefined();
  });

  it('is fenced right after the process was stopped for longer, before any timer has run', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    Reflect.set(registry.rig.clock, 'elapsedMs', registry.rig.clock.monotonicMs() + 60_000);
    expect(membership.isFenced).toBe(true);
  });

  it('is not impressed by steps of the wall clock', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    for (const step of [3_600_000, -7_200_000]) {
      registry.rig.clock.step(step);
      await registry.pass(5_000);
      expect(membership.isFenced).toBe(false);
    }
    expect(await listed(registry)).toEqual(['node/node-1 UP']);
  });

  it('registers again, all of it, when its lease is lost', async () => {
    const registry = await registryOf();
    const { membership, logger } = await joined(memberOf(registry));
    await membership.put(agentOf('a', ['x']));
    const before = membership.lease;
    if (before.kind === 'held') await registry.rig.store.leases.revoke(before.leaseId);
    await eventually(async () => expect(await listed(registry)).toEqual([]));
    await registry.pass(4_000);
    await registry.passUntil(async () => expect(await listed(registry)).toEqual(['agent/a UP', 'node/node-1 UP']));
    expect(membership.lease).toMatchObject({ kind: 'held' });
    expect(membership.lease).not.toEqual(before);
    expect(logger.at('warn')).toEqual(['lease lost; registering again']);
  });

  it('gives up what somebody else has taken meanwhile, and keeps the rest', async () => {
    const registry = await registryOf();
    const { membership, taken } = await joined(memberOf(registry));
    for (const id of ['a', 'b', 'c']) await membership.put(agentOf(id, ['x']));
    if (membership.lease.kind === 'held') await registry.rig.store.leases.revoke(membership.lease.leaseId);
    await registry.rig.register({ service: 'agent', id: 'b', nodeId: 'node-2' });
    await registry.pass(4_000);
    await eventually(() => expect(taken.map(({ id }) => id)).toEqual(['b']));
    await eventually(async () =>
      expect(await listed(registry)).toEqual(['agent/a UP', 'agent/b UP', 'agent/c UP', 'node/node-1 UP']),
    );
    expect((await registry.rig.get('agent', 'b')).instance?.nodeId).toBe('node-2');
  });

  it('tries on until a registry is there, and until its own id is free', async () => {
    const registry = await registryOf();
    await registry.goAway();
    const member = memberOf(registry);
    await registry.pass(3_000);
    expect(member.membership.lease.kind).toBe('joining');
    await registry.rig.register({ service: 'node', id: 'node-1', endpoint: { host: '127.0.0.9', port: 1 } });
    await registry.start();
    await registry.pass(3_000);
    expect(member.membership.lease.kind).toBe('joining');
    await registry.pass(12_000);
    await registry.passUntil(() => expect(member.membership.lease.kind).toBe('held'));
  });

  it('keeps its lease over an outage that is shorter, and writes then what it could not before', async () => {
    const registry = await registryOf();
    const { membership, logger } = await joined(memberOf(registry));
    for (const id of ['a', 'b']) await membership.put(agentOf(id, ['x']));
    const before = membership.lease;
    await registry.goAway();
    await membership.remove([{ service: 'agent', id: 'a' }]).catch(() => undefined);
    await membership.setStatus('stopping');
    await registry.start();
    await registry.passUntil(async () => expect(await listed(registry)).toEqual(['agent/b UP', 'node/node-1 STOPPING']));
    expect(membership.lease).toMatchObject(before.kind === 'held' ? { leaseId: before.leaseId } : {});
    expect(logger.at('info').filter((event) => event === 'registered')).toHaveLength(1);
  });

  it('takes back a registration that was not answered', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    const { register } = registry.rig.service;
    registry.overrides = {
      async register(request, call) {
        await register(request, call);
        throw new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'no answer');
      },
    };
    await expect(membership.put(agentOf('ghost', ['x']))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    registry.overrides = {};
    expect(await listed(registry)).toEqual(['agent/ghost UP', 'node/node-1 UP']);
    await registry.pass(5_000);
    await eventually(async () => expect(await listed(registry)).toEqual(['node/node-1 UP']));
  });

  it('puts many at once: all or, where one cannot be, none', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    await membership.putAll(['a', 'b'].map((id) => agentOf(id, ['x'])));
    await registry.rig.register({ service: 'agent', id: 'theirs', nodeId: 'node-2' });
    await expect(membership.putAll(['c', 'theirs'].map((id) => agentOf(id, ['x'])))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    if (membership.lease.kind === 'held') await registry.rig.store.leases.revoke(membership.lease.leaseId);
    await registry.pass(4_000);
    await registry.passUntil(async () =>
      expect(await listed(registry)).toEqual(['agent/a UP', 'agent/b UP', 'agent/theirs UP', 'node/node-1 UP']),
    );
  });

  it('does not take for registered what went with a lease that was lost meanwhile', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    const before = membership.lease.kind === 'held' ? membership.lease.leaseId : 0n;
    const { register } = registry.rig.service;
    registry.overrides = {
      async register(request, call) {
        registry.overrides = {};
        const response = await register(request, call);
        await registry.rig.store.leases.revoke(before);
        await registry.passUntil(() => {
          expect(membership.lease).toMatchObject({ kind: 'held' });
          expect(membership.lease).not.toMatchObject({ leaseId: before });
        });
        return response;
      },
    };
    await expect(membership.put(agentOf('a', ['x']))).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'NOT_JOINED' });
    await eventually(() => membership.put(agentOf('a', ['x'])));
    expect(await listed(registry)).toEqual(['agent/a UP', 'node/node-1 UP']);
  });

  it('does not let a removal that another owns keep the others back', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    await membership.put(agentOf('mine', ['x']));
    await registry.rig.register({ service: 'agent', id: 'theirs', nodeId: 'node-2' });
    await membership.remove(['theirs', 'mine'].map((id) => ({ service: 'agent', id })));
    expect(await listed(registry)).toEqual(['agent/theirs UP', 'node/node-1 UP']);
  });

  it('removed while it registers again does not come back', async () => {
    const registry = await registryOf();
    const { membership } = await joined(memberOf(registry));
    await membership.put(agentOf('a', ['x']));
    let removed = false;
    const { register } = registry.rig.service;
    registry.overrides = {
      async register(request, call) {
        if (request.instances.some(({ id }) => id === 'a') && !removed) {
          removed = true;
          await membership.remove([{ service: 'agent', id: 'a' }]);
        }
        return register(request, call);
      },
    };
    if (membership.lease.kind === 'held') await registry.rig.store.leases.revoke(membership.lease.leaseId);
    await registry.pass(10_000);
    expect(removed).toBe(true);
    await eventually(async () => expect(await listed(registry)).toEqual(['node/node-1 UP']));
  });

  it('turns to another registry when one goes away or falls silent', async () => {
    const first = await registryOf();
    const second = new ServedRegistry({ store: first.rig.store });
    // Two registries on one store, and one clock for all.
    toStop.push(() => second.stop());
    await second.start();
    const { membership, session } = await joined(memberOf(first, nodeOf('node-1'), [first.address, second.address]));
    const lease = membership.lease;
    await first.goAway();
    await first.passUntil(() => expect(session.address).toBe(second.address));
    await first.pass(8_000);
    expect(membership.isFenced).toBe(false);
    expect(membership.lease).toMatchObject(lease.kind === 'held' ? { leaseId: lease.leaseId } : {});
  });

  it('does not wait for ever for an answer to a renewal', async () => {
    const registry = await registryOf();
    const { membership, logger } = await joined(memberOf(registry));
    registry.overrides = {
      async *keepAlive(_requests, call) {
        await new Promise<void>((resolve) => call.onCancel(() => resolve()));
      },
    };
    if (membership.lease.kind === 'held') await registry.goAway();
    await registry.start();
    await registry.pass(9_500, 250);
    expect(membership.isFenced).toBe(true);
    expect(membership.isCutOff).toBe(true);
    registry.overrides = {};
    await registry.passUntil(() => expect(membership.isFenced).toBe(false));
    expect(logger.at('warn')).toContain('registry not reached; trying on');
  });

  it('leaves no timer behind', async () => {
    const registry = await registryOf();
    const before = registry.rig.clock.pending;
    const { stop } = await joined(memberOf(registry));
    await registry.pass(5_000);
    await stop();
    await registry.rig.store.leases.revoke(1n);
    await eventually(() => expect(registry.rig.clock.pending).toBeLessThanOrEqual(before + 1));
  });
});
