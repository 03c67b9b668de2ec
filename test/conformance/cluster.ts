import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { startEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import { client, type Role, startGateway, startRegistry, startRole } from '../support/roles.js';

const AGENTS = join(ROOT, 'test', 'conformance', 'agents.mjs');

export interface ConformanceCluster {
  readonly gateway: Role;
  readonly nodes: readonly [Role, Role];
  readonly troupe: TroupeClient;
}

/** An etcd, a registry on it, two nodes and a gateway, each a process; `echo` on both nodes, the other agents on the first. */
export async function startConformanceCluster(): Promise<ConformanceCluster> {
  const etcd = await startEtcd();
  const registry = await startRegistry('--store', 'etcd', '--etcd', etcd.endpoint);
  const node = (id: string) => startRole('node', ['--id', id, '--registry', registry.address, '--agents', AGENTS]);
  const [gateway, first, second] = await Promise.all([startGateway(registry.address), node('node-1'), node('node-2')]);
  const troupe = client(gateway.address);
  await eventually(async () => expect(await troupe.nodes()).toHaveLength(2), { timeoutMs: 10_000 });
  const places = [
    ['echo', 'node-1'],
    ['echo', 'node-2'],
    ...['counter', 'sleeper', 'narrow', 'failing'].map((kind) => [kind, 'node-1'] as const),
  ] as const;
  for (const [kind, place] of places) await troupe.deploy({ id: `${kind}-${place.at(-1)}`, kind }, place);
  for (const { address } of [gateway, first, second]) {
    const seen = client(address);
    await eventually(async () => expect(await seen.request('echo-2', 'here?')).toBeDefined());
    await eventually(async () =>
      expect([...(await seen.broadcast('conformance.all', 'here?')).keys()].sort()).toEqual(['echo-1', 'echo-2']),
    );
  }
  return { gateway, nodes: [first, second], troupe };
}
