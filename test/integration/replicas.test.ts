import { describe, expect, it } from '@jest/globals';
import { RegistryDefinition } from '../../src/gen/troupe/v1/registry.js';
import { openChannel } from '../../src/rpc/channels.js';
import { createClient } from '../../src/rpc/client.js';
import { cleanUp } from '../support/clean-up.js';
import { startEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Load } from '../support/load.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

function registryOf({ address }: Role) {
  const channel = openChannel(address);
  cleanUp(() => channel.close());
  return createClient(RegistryDefinition, channel);
}

/** Who is there, each with its lease's life as told by its incarnation. */
async function truth(role: Role): Promise<string[]> {
  const { instances } = await registryOf(role).listInstances({ pageSize: 1_000 });
  return instances.map(
    ({ service, id, status, incarnation, endpoint }) => `${service}/${id} ${status} ${incarnation} ${endpoint?.port}`,
  );
}

async function startCluster() {
  const etcd = await startEtcd();
  const store = ['--store', 'etcd', '--etcd', etcd.endpoint];
  const [one, two] = await Promise.all([startRegistry(...store, '--id', 'one'), startRegistry(...store, '--id', 'two')]);
  const both = `${one.address},${two.address}`;
  const [node, gateway] = await Promise.all([
    startNode('node-1', both, '--lease-ttl', '3'),
    startGateway(`${two.address},${one.address}`, '--lease-ttl', '3'),
  ]);
  const troupe = client(gateway.address);
  await eventually(() => troupe.deploy({ id: 'echo-1', kind: 'echo' }, 'node-1'));
  return { store, one, two, node, gateway, troupe };
}

describe('two registries on one etcd', () => {
  it('tell the same, whichever of them was told', async () => {
    const { one, two } = await startCluster();
    const [first, second] = [registryOf(one), registryOf(two)];
    await eventually(async () => expect(await truth(one)).toEqual(await truth(two)));
    expect((await truth(one)).map((line) => line.split(' ')[0])).toEqual(['agent/echo-1', 'gateway/gateway', 'node/node-1']);

    const { leaseId } = await first.register({
      instances: [{ service: 'thing', id: 'x', endpoint: { host: '127.0.0.1', port: 1 } }],
    });
    await expect(
      second.register({ instances: [{ service: 'thing', id: 'x', endpoint: { host: '127.0.0.1', port: 2 } }] }),
    ).rejects.toMatchObject({ code: 'ALREADY_EXISTS', reason: 'ALREADY_REGISTERED' });
    const updated = await second.updateInstance({ key: { service: 'thing', id: 'x' }, leaseId, weight: 7 });
    const read = await first.getInstance({ key: { service: 'thing', id: 'x' } });
    expect(read.instance).toMatchObject({ weight: 7, revision: updated.instance?.revision });
    await second.deregister({ leaseId });
    await eventually(async () => expect((await truth(one)).join()).not.toContain('thing/x'));
    await expect(first.getInstance({ key: { service: 'thing', id: 'x' } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are replaced one after another, and nothing is lost: leases, agents, tasks', async () => {
    const { store, one, two, troupe } = await startCluster();
    const lease = (await troupe.status('node-1')).lease?.leaseId;
    await eventually(async () => expect(await truth(one)).toEqual(await truth(two)));
    const before = await truth(one);
    const load = new Load(4, () => troupe.run('echo', 1));
    const looks = new Load(1, async () => {
      const found = await troupe.instances({ service: 'agent' });
      if (found.length !== 1) throw new Error(`${found.length} agents`);
    });
    await eventually(() => expect(load.succeeded).toBeGreaterThan(50));

    await one.process.kill('SIGTERM');
    const oneAgain = await startRegistry(...store, '--id', 'one', '--port', String(one.port));
    await two.process.kill('SIGKILL');
    const twoAgain = await startRegistry(...store, '--id', 'two', '--port', String(two.port));

    for (const replica of [oneAgain, twoAgain]) expect(await truth(replica)).toEqual(before);
    // Both have gone on to renew for longer than a lease lives.
    const from = performance.now();
    await eventually(() => expect(performance.now() - from).toBeGreaterThan(4_000), { timeoutMs: 6_000 });
    expect((await troupe.status('node-1')).lease).toMatchObject({ state: 2, leaseId: lease });
    expect(await truth(oneAgain)).toEqual(before);
    expect((await load.stop()).failures).toEqual({});
    expect((await looks.stop()).failures).toEqual({});
    await troupe.deploy({ id: 'echo-2', kind: 'echo' }, 'node-1');
  }, 60_000);

  it('a frozen one is left for the other before the lease runs out', async () => {
    const { one, troupe } = await startCluster();
    const lease = (await troupe.status('node-1')).lease?.leaseId;
    const load = new Load(4, () => troupe.run('echo', 1));
    await one.process.kill('SIGSTOP');
    const from = performance.now();
    await eventually(() => expect(performance.now() - from).toBeGreaterThan(5_000), { timeoutMs: 7_000 });
    expect((await troupe.status('node-1')).lease).toMatchObject({ state: 2, leaseId: lease });
    expect((await load.stop()).failures).toEqual({});
    await one.process.kill('SIGCONT');
  }, 60_000);
});
