import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { ManifestInput } from '../../src/agent/manifest.js';
import type { TroupeClient } from '../../src/client/client.js';
import { cleanUp } from './clean-up.js';
import { eventually } from './eventually.js';
import { ROOT } from './processes.js';
import { client, freePort, type Role, startGateway, startRegistry, startRole } from './roles.js';

const CHAOS_AGENTS = join(ROOT, 'test', 'chaos', 'agents.mjs');

export interface ChaosCluster {
  readonly registry: Role;
  readonly gateway: Role;
  readonly nodes: readonly [Role, ...Role[]];
  /** Through the gateway. */
  readonly troupe: TroupeClient;
  /** For what agents write, and nobody else. */
  readonly log: string;
  /** Deploys an agent like this on each node: `<id>-1` on the first, and so on. */
  deploy(manifest: ManifestInput): Promise<void>;
}

/** A registry on the memory store, a gateway and nodes that know the agents for chaos, each a process of its own, as they are by default. */
export async function startChaosCluster(nodes: number): Promise<ChaosCluster> {
  const registry = await startRegistry();
  const ids = Array.from({ length: nodes }, (_, index) => `node-${index + 1}`);
  // Its port is known beforehand, so that another gateway can take its place.
  const port = String(await freePort());
  const [gateway, first, ...others] = await Promise.all([
    startGateway(registry.address, '--port', port),
    ...ids.map((id) => startRole('node', ['--id', id, '--registry', registry.address, '--agents', CHAOS_AGENTS])),
  ]);
  if (first === undefined) throw new Error('no nodes');
  const troupe = client(gateway.address);
  await eventually(async () => {
    const seen = await Promise.all(ids.map((id) => troupe.status(id)));
    expect(seen.map(({ node }) => node?.status)).toEqual(ids.map(() => 2));
  });
  return {
    registry,
    gateway,
    nodes: [first, ...others],
    troupe,
    log: join(await temporaryFolder(), 'executions'),
    deploy: async (manifest) => {
      for (const [index, id] of ids.entries()) await troupe.deploy({ ...manifest, id: `${manifest.id}-${index + 1}` }, id);
    },
  };
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-chaos-'));
  cleanUp(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
