import { describe, expect, it } from '@jest/globals';
import { toMs } from '../support/duration.js';
import { startEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Load } from '../support/load.js';
import { client, startGateway, startNode, startRegistry } from '../support/roles.js';

const TTL = ['--lease-ttl', '2'];
/** Longer than the lease of 2 s lives, and than a view takes to call itself stale. */
const AWAY_MS = 8_000;

async function startCluster(registry: string) {
  const nodes = await Promise.all(['node-1', 'node-2'].map((id) => startNode(id, registry, ...TTL)));
  const gateway = await startGateway(registry, ...TTL);
  const troupe = client(gateway.address);
  await troupe.deploy({ id: 'echo-1', kind: 'echo' }, 'node-1');
  await troupe.deploy({ id: 'echo-2', kind: 'echo' }, 'node-2');
  await troupe.deploy({ id: 'lonely', kind: 'echo', capabilities: ['loneliness'] }, 'node-2');
  return { nodes, gateway, troupe };
}

/** The stages of an outage: nobody may notice but who wants to change the cluster. */
async function survives(
  { troupe }: Awaited<ReturnType<typeof startCluster>>,
  goAway: () => Promise<unknown>,
  comeBack: () => Promise<unknown>,
) {
  const load = new Load(4, () => troupe.run('echo', { n: 1 }, { timeoutMs: 10_000 }));
  const lonely = new Load(1, () => troupe.run('loneliness', { n: 1 }, { timeoutMs: 10_000 }));
  await eventually(() => expect(load.succeeded).toBeGreaterThan(100));
  const goneAt = performance.now();
  await goAway();

  await eventually(
    async () => {
      const { view, lease } = await troupe.status();
      expect({ stale: view?.stale, instances: view?.instances, lease: lease?.state }).toEqual({
        stale: true,
        instances: 6,
        lease: 3,
      });
      expect(toMs(view?.age)).toBeGreaterThan(6_000);
    },
    { timeoutMs: 15_000 },
  );
  await expect(troupe.deploy({ id: 'late', kind: 'echo' }, 'node-1')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    retryAfterMs: expect.any(Number),
  });
  await eventually(() => expect(performance.now() - goneAt).toBeGreaterThan(AWAY_MS), { timeoutMs: AWAY_MS + 1_000 });

  await comeBack();
  await eventually(
    async () => {
      const { view } = await troupe.status();
      expect(view?.stale).toBe(false);
      for (const id of ['node-1', 'node-2', '']) expect((await troupe.status(id)).lease?.state).toBe(2);
      expect((await troupe.instances()).map(({ id }) => id)).toEqual([
        'echo-1',
        'echo-2',
        'lonely',
        'gateway',
        'node-1',
        'node-2',
      ]);
    },
    { timeoutMs: 15_000 },
  );
  await troupe.deploy({ id: 'late', kind: 'echo' }, 'node-1');
  expect((await load.stop()).failures).toEqual({});
  expect((await lonely.stop()).failures).toEqual({});
}

describe('while the control plane is away for longer than a lease lives', () => {
  it('tasks go on when a registry with its store in memory is killed and started again', async () => {
    const registry = await startRegistry();
    const cluster = await startCluster(registry.address);
    await survives(
      cluster,
      () => registry.process.kill('SIGKILL'),
      () => startRegistry('--port', String(registry.port)),
    );
  }, 60_000);

  it('tasks go on when etcd freezes and goes on', async () => {
    const etcd = await startEtcd();
    const registry = await startRegistry('--store', 'etcd', '--etcd', etcd.endpoint);
    const cluster = await startCluster(registry.address);
    await survives(
      cluster,
      () => etcd.pause(),
      () => etcd.resume(),
    );
  }, 60_000);

  it('tasks go on when etcd is killed and started again', async () => {
    const etcd = await startEtcd();
    const registry = await startRegistry('--store', 'etcd', '--etcd', etcd.endpoint);
    const cluster = await startCluster(registry.address);
    await survives(
      cluster,
      () => etcd.kill(),
      () => etcd.restart(),
    );
  }, 60_000);
});
