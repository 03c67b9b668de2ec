import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { ExecuteTaskRequest, NodeDefinition } from '../../src/gen/troupe/v1/node.js';
import { openChannel } from '../../src/rpc/channels.js';
import { createClient } from '../../src/rpc/client.js';
import { cleanUp } from '../support/clean-up.js';
import { startEtcd, type TestEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { client, launch, PROBE_AGENTS, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const TTL = ['--lease-ttl', '2'];
let etcd: TestEtcd;
let registry: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  etcd = await startEtcd();
  registry = await startRegistry('--store', 'etcd', '--etcd', etcd.endpoint);
  const gateway = await startGateway(registry.address, ...TTL);
  troupe = client(gateway.address);
}, 30_000);

/** Asks a node itself, as a router that has lost nothing does. */
function direct(address: string) {
  const channel = openChannel(address);
  cleanUp(() => channel.close());
  const node = createClient(NodeDefinition, channel);
  return {
    execute: (agentId: string) =>
      node.executeTask(ExecuteTaskRequest.fromPartial({ task: { agentId, requiredCapabilities: [] } }), { timeoutMs: 5_000 }),
    status: () => node.getStatus({ nodeId: '' }, { timeoutMs: 5_000 }),
  };
}

async function isListed(nodeId: string): Promise<boolean> {
  return (await troupe.instances()).some(({ id }) => id === nodeId);
}

describe('a node that was frozen for longer than its lease lives', () => {
  it('has left, takes no task before it has registered again, and comes back with its agents by itself', async () => {
    const node = await startNode('frozen', registry.address, ...TTL);
    await troupe.deploy({ id: 'frozen-echo', kind: 'echo', capabilities: ['thawing'] }, 'frozen');
    const { execute, status } = direct(node.address);
    await execute('frozen-echo');
    const lease = (await status()).lease?.leaseId;

    await node.process.kill('SIGSTOP');
    await eventually(async () => expect([await isListed('frozen'), await isListed('frozen-echo')]).toEqual([false, false]), {
      timeoutMs: 10_000,
    });
    await expect(troupe.run('thawing')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'NO_AGENT' });
    // Waits in the node's socket, and is read before anything else that the node does.
    const first = execute('frozen-echo').then(
      () => 'done',
      (error: { reason?: string }) => error.reason,
    );
    await node.process.kill('SIGCONT');
    expect(await first).toBe('NODE_FENCED');

    await eventually(async () => expect((await troupe.run('thawing')).nodeId).toBe('frozen'), { timeoutMs: 10_000 });
    const after = await status();
    expect(after.lease).toMatchObject({ state: 2 });
    expect(after.lease?.leaseId).not.toBe(lease);
    await execute('frozen-echo');
  });
});

describe('a node that is cut off from the registry', () => {
  it('fences itself before its lease can have expired, and takes tasks again when it is back', async () => {
    const proxy = await TcpProxy.start(registry.port);
    cleanUp(() => proxy.stop());
    const node = await startNode('cut-off', proxy.endpoint.replace('http://', ''), ...TTL);
    await troupe.deploy({ id: 'cut-off-echo', kind: 'echo', capabilities: ['solitude'] }, 'cut-off');
    const { execute, status } = direct(node.address);
    await execute('cut-off-echo');

    proxy.freeze();
    let fencedAt = Number.NaN;
    let goneAt = Number.NaN;
    await eventually(
      async () => {
        if (Number.isNaN(fencedAt)) {
          expect((await status()).lease?.state).toBe(3);
          fencedAt = performance.now();
        }
        expect(await isListed('cut-off')).toBe(false);
        goneAt = performance.now();
      },
      { timeoutMs: 10_000 },
    );
    expect(fencedAt).toBeLessThan(goneAt);
    await expect(execute('cut-off-echo')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NODE_FENCED',
      metadata: { started: 'false' },
    });

    proxy.accept();
    await eventually(async () => expect((await troupe.run('solitude')).nodeId).toBe('cut-off'), { timeoutMs: 20_000 });
    await execute('cut-off-echo');
  });
});

describe('the id of a node', () => {
  it('is refused to a second process while the first lives, which goes on undisturbed', async () => {
    const first = await startNode('twin', registry.address, ...TTL);
    await troupe.deploy({ id: 'twin-echo', kind: 'echo', capabilities: ['twinning'] }, 'twin');
    const second = launch('node', ['--id', 'twin', '--registry', registry.address, '--agents', PROBE_AGENTS, ...TTL]);
    await eventually(
      () =>
        expect(second.logs).toContainEqual(
          expect.objectContaining({ reason: expect.stringMatching(/"twin" is registered by a process at .*choose another id/) }),
        ),
      { timeoutMs: 10_000 },
    );
    expect(second.lines).toEqual([]);
    expect((await troupe.run('twinning')).json()).toMatchObject({ pid: first.process.pid });

    await first.process.kill('SIGTERM');
    await second.ready();
    expect((await troupe.status('twin')).node?.endpoint?.port).not.toBe(first.port);
  });

  it('is taken over at once by a process at the same address', async () => {
    const first = await startNode('phoenix', registry.address, '--lease-ttl', '60');
    await first.process.kill('SIGKILL');
    const again = await startNode('phoenix', registry.address, '--port', String(first.port), '--lease-ttl', '60');
    expect(again.port).toBe(first.port);
    await eventually(async () => expect((await troupe.status('phoenix')).lease?.state).toBe(2));
  });
});
