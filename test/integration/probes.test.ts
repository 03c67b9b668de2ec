import { describe, expect, it } from '@jest/globals';
import type { Instance } from '../../src/gen/troupe/v1/instance.js';
import { RegistryDefinition } from '../../src/gen/troupe/v1/registry.js';
import { openChannel } from '../../src/rpc/channels.js';
import { createClient } from '../../src/rpc/client.js';
import { cleanUp } from '../support/clean-up.js';
import { startEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

/** From the moment a node falls silent. */
const FROZEN_BOUND_MS = 4_000;
const BLOCKED_BOUND_MS = 5_000;
/** From the moment a node answers again: two checks. */
const RECOVERED_BOUND_MS = 4_000;
/** From the moment the leader is stopped or killed. */
const NEW_LEADER_BOUND_MS = 15_000;
/** Checks go on that long without a change of the records. */
const CALM_MS = 3_500;
/** Longer than anything here takes, so that what is seen is not the end of a lease. */
const LEASE = ['--lease-ttl', '60'];

function registryOf({ address }: Role) {
  const channel = openChannel(address);
  cleanUp(() => channel.close());
  const registry = createClient(RegistryDefinition, channel);
  return {
    node: async (id: string): Promise<Instance> => {
      const { instance } = await registry.getInstance({ key: { service: 'node', id } });
      if (instance === undefined) throw new Error(`no node ${id}`);
      return instance;
    },
    leads: async () => (await registry.getStats({}, { timeoutMs: 1_000 })).leading,
    stats: () => registry.getStats({}),
  };
}

type Registry = ReturnType<typeof registryOf>;

const leading = (registry: Registry) => eventually(async () => expect(await registry.leads()).toBe(true), { timeoutMs: 10_000 });

/** How long it took until the record of a node said so, within `boundMs`. */
async function verdictWithin(registry: Registry, id: string, boundMs: number): Promise<number> {
  const from = performance.now();
  await eventually(async () => expect((await registry.node(id)).probe?.failing).toBe(true), { timeoutMs: boundMs });
  return performance.now() - from;
}

async function clearedWithin(registry: Registry, id: string, boundMs: number): Promise<void> {
  await eventually(async () => expect((await registry.node(id)).probe).toBeUndefined(), { timeoutMs: boundMs });
}

/** Time in which nothing may happen. */
async function calm(check: () => Promise<void>): Promise<void> {
  const from = performance.now();
  await eventually(
    async () => {
      await check();
      expect(performance.now() - from).toBeGreaterThan(CALM_MS);
    },
    { timeoutMs: CALM_MS * 3 },
  );
}

describe('a node of a cluster with one registry', () => {
  it('that is frozen fails within 4 s, which everybody is told, and no more when it goes on', async () => {
    const role = await startRegistry();
    const registry = registryOf(role);
    const nodes = await Promise.all([1, 2, 3].map((n) => startNode(`node-${n}`, role.address, ...LEASE)));
    const gateway = await startGateway(role.address, ...LEASE);
    const troupe = client(gateway.address);
    await leading(registry);
    await calm(async () => {
      for (const { id } of nodes) expect((await registry.node(id)).probe).toBeUndefined();
    });

    const [node] = nodes as [Role, Role, Role];
    const before = await registry.node(node.id);
    await node.process.kill('SIGSTOP');
    expect(await verdictWithin(registry, node.id, FROZEN_BOUND_MS)).toBeLessThan(FROZEN_BOUND_MS);
    const { probe, incarnation, status } = await registry.node(node.id);
    expect(probe).toEqual({
      failing: true,
      reason: 'no answer to 2 health checks within 1 s',
      since: expect.any(Date),
      registryId: role.id,
    });
    expect({ incarnation, status }).toEqual({ incarnation: before.incarnation, status: before.status });
    expect((await registry.stats()).services.find(({ service }) => service === 'node')).toMatchObject({ failing: 1 });
    expect(role.process.logs).toContainEqual(expect.objectContaining({ msg: 'node fails its health checks', nodeId: node.id }));
    expect((await troupe.nodes()).map((each) => each.probe?.failing ?? false)).toEqual([true, false, false]);

    await node.process.kill('SIGCONT');
    await clearedWithin(registry, node.id, RECOVERED_BOUND_MS);
  }, 60_000);

  it('whose agent blocks the event loop fails within 5 s, and no more when it goes on', async () => {
    const role = await startRegistry();
    const registry = registryOf(role);
    await startNode('node-1', role.address, ...LEASE);
    const gateway = await startGateway(role.address, ...LEASE);
    const troupe = client(gateway.address);
    await eventually(() => troupe.deploy({ id: 'blocker', kind: 'blocking' }, 'node-1'));
    await leading(registry);
    const blocked = troupe.run('blocking', { ms: 8_000 });
    expect(await verdictWithin(registry, 'node-1', BLOCKED_BOUND_MS)).toBeLessThan(BLOCKED_BOUND_MS);
    await blocked;
    await clearedWithin(registry, 'node-1', RECOVERED_BOUND_MS);
  }, 60_000);

  it('that is killed fails well before its lease ends; one that stops in order does not', async () => {
    const role = await startRegistry();
    const registry = registryOf(role);
    const [killed, stopped] = await Promise.all([
      startNode('killed', role.address, ...LEASE),
      startNode('stopped', role.address, ...LEASE),
    ]);
    await leading(registry);
    await stopped.process.kill('SIGTERM');
    await killed.process.kill('SIGKILL');
    await verdictWithin(registry, 'killed', FROZEN_BOUND_MS);
    expect((await registry.node('killed')).probe?.reason).toBe('not reached by 2 health checks');
    const events = role.process.logs.filter(({ msg }) => msg === 'node fails its health checks');
    expect(events.map(({ nodeId }) => nodeId)).toEqual(['killed']);
  }, 60_000);

  it('is not judged when most of them fail at once', async () => {
    const role = await startRegistry();
    const registry = registryOf(role);
    const nodes = await Promise.all([1, 2, 3].map((n) => startNode(`node-${n}`, role.address, ...LEASE)));
    await leading(registry);
    for (const { process } of nodes.slice(0, 2)) await process.kill('SIGSTOP');
    await eventually(
      () => expect(role.process.logs).toContainEqual(expect.objectContaining({ msg: expect.stringContaining('too many nodes') })),
      { timeoutMs: 10_000 },
    );
    await calm(async () => {
      for (const { id } of nodes) expect((await registry.node(id)).probe).toBeUndefined();
    });
  }, 60_000);
});

describe('two registries on one etcd', () => {
  async function startCluster() {
    const etcd = await startEtcd();
    const store = ['--store', 'etcd', '--etcd', etcd.endpoint];
    const one = await startRegistry(...store, '--id', 'one');
    await leading(registryOf(one));
    const two = await startRegistry(...store, '--id', 'two');
    const node = await startNode('node-1', `${two.address},${one.address}`, ...LEASE);
    return { one, two, node, first: registryOf(one), second: registryOf(two) };
  }

  /** How long the other took to lead. */
  async function successionWithin(second: Registry, boundMs: number): Promise<number> {
    const from = performance.now();
    await eventually(async () => expect(await second.leads()).toBe(true), { timeoutMs: boundMs });
    return performance.now() - from;
  }

  it('one leads; when it is killed, the other does within 15 s, and verdicts go on', async () => {
    const { one, node, second } = await startCluster();
    expect(await second.leads()).toBe(false);
    await node.process.kill('SIGSTOP');
    await verdictWithin(second, node.id, FROZEN_BOUND_MS);
    expect((await second.node(node.id)).probe).toMatchObject({ registryId: 'one' });

    await one.process.kill('SIGKILL');
    expect(await successionWithin(second, NEW_LEADER_BOUND_MS)).toBeLessThan(NEW_LEADER_BOUND_MS);
    // What the first found stands until the second has seen it pass.
    expect((await second.node(node.id)).probe).toMatchObject({ registryId: 'one' });
    await node.process.kill('SIGCONT');
    await clearedWithin(second, node.id, RECOVERED_BOUND_MS);
    await node.process.kill('SIGSTOP');
    await verdictWithin(second, node.id, FROZEN_BOUND_MS);
    expect((await second.node(node.id)).probe).toMatchObject({ registryId: 'two' });
    await node.process.kill('SIGCONT');
  }, 60_000);

  it('when the leader is frozen, the other leads within 15 s; the first writes nothing when it goes on, and is a candidate again', async () => {
    const { one, two, node, first, second } = await startCluster();
    await one.process.kill('SIGSTOP');
    expect(await successionWithin(second, NEW_LEADER_BOUND_MS)).toBeLessThan(NEW_LEADER_BOUND_MS);
    await node.process.kill('SIGSTOP');
    await verdictWithin(second, node.id, FROZEN_BOUND_MS);
    const found = await second.node(node.id);
    expect(found.probe).toMatchObject({ registryId: 'two' });

    await one.process.kill('SIGCONT');
    await eventually(async () => expect(await first.leads()).toBe(false));
    await calm(async () => {
      expect(await second.node(node.id)).toMatchObject({ revision: found.revision, probe: found.probe });
      expect([await first.leads(), await second.leads()]).toEqual([false, true]);
    });
    await node.process.kill('SIGCONT');

    // In order, it hands over at once.
    const from = performance.now();
    const stopped = two.process.kill('SIGTERM');
    await leading(first);
    expect(performance.now() - from).toBeLessThan(2_000);
    await stopped;
  }, 60_000);
});
