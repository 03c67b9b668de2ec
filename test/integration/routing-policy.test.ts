import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import type { RunOptions } from '../../src/client/run-options.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { client, launch, startGateway, startNode, startRegistry } from '../support/roles.js';

let troupe: TroupeClient;
let registryAddress: string;

const POLICY = {
  callers: { batch: { perSecond: 0.1, burst: 2 } },
  capabilities: {
    limited: { rateLimit: { perSecond: 0.1, burst: 1 }, fallback: 'near' },
    hashed: { strategy: 'consistent_hash' },
    nobody: { fallback: 'nobody-either', defaultAnswer: { json: { sorry: true } } },
  },
};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-policy-'));
  cleanUp(() => rm(folder, { recursive: true }));
  const file = join(folder, 'policy.json');
  await writeFile(file, JSON.stringify(POLICY));
  const registry = await startRegistry();
  registryAddress = registry.address;
  const [gateway] = await Promise.all([
    startGateway(registry.address, '--policy', file, '--zone', 'zone-a'),
    startNode('node-a', registry.address, '--zone', 'zone-a'),
    startNode('node-b', registry.address, '--zone', 'zone-b'),
  ]);
  troupe = client(gateway.address);
  await eventually(async () => expect(await troupe.nodes()).toMatchObject([{ status: 2 }, { status: 2 }]));
  for (const node of ['node-a', 'node-b']) {
    const id = (name: string) => `${name}-on-${node}`;
    const capabilities = ['near', 'limited', 'hashed'];
    await troupe.deploy({ id: id('echo'), kind: 'echo', capabilities }, node);
    await troupe.deploy({ id: id('slow'), kind: 'worker', capabilities: ['slow'], concurrency: 1, mailboxCapacity: 10 }, node);
  }
}, 30_000);

const nodesOf = async (capability: string, times: number, options: RunOptions = {}): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (let n = 0; n < times; n++) {
    const { nodeId } = await troupe.run(capability, n, options);
    counts[nodeId] = (counts[nodeId] ?? 0) + 1;
  }
  return counts;
};

describe('a router in a zone', () => {
  it('prefers the agents of its own', async () => {
    expect(await nodesOf('near', 10)).toEqual({ 'node-a': 10 });
  });

  it('spills over when they are busy', async () => {
    // An answer tells how many the agent works on at once; from then on a second task at a time goes elsewhere.
    await troupe.run('slow', { ms: 0 });
    const results = await Promise.all(Array.from({ length: 6 }, () => troupe.run('slow', { ms: 100 })));
    expect(new Set(results.map(({ nodeId }) => nodeId))).toEqual(new Set(['node-a', 'node-b']));
  });

  it('uses those of another where it has none', async () => {
    await troupe.deploy({ id: 'far', kind: 'echo', capabilities: ['far'] }, 'node-b');
    expect(await nodesOf('far', 3)).toEqual({ 'node-b': 3 });
  });
});

describe('consistent hashing', () => {
  it('is the strategy of a capability where the policy says so, and keeps a key at its agent', async () => {
    await expect(troupe.run('hashed', 1)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'task.routing_key' }],
    });
    const homes = new Map<string, string>();
    for (let key = 0; key < 20; key++) {
      const seen = await nodesOf('hashed', 3, { routingKey: `key-${key}` });
      expect(Object.values(seen)).toEqual([3]);
      homes.set(`key-${key}`, Object.keys(seen)[0] ?? '');
    }
    expect(new Set(homes.values())).toEqual(new Set(['node-a', 'node-b']));
  });
});

describe('a routing policy', () => {
  it('holds a capability to its rate, and degrades what is beyond', async () => {
    expect(await troupe.run('limited', 1)).toMatchObject({ fallbackCapability: '' });
    expect(await troupe.run('limited', 2)).toMatchObject({ fallbackCapability: 'near', isDefaultAnswer: false });
  });

  it('answers by default where nobody can', async () => {
    const result = await troupe.run('nobody', 1);
    expect(result).toMatchObject({ agentId: '', nodeId: '', isDefaultAnswer: true });
    expect(result.json()).toEqual({ sorry: true });
    const events: string[] = [];
    for await (const { kind } of troupe.runStream('nobody', 1)) events.push(kind);
    expect(events).toEqual(['accepted', 'result']);
  });

  it('that is wrong keeps a role from starting, naming every wrong field', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'troupe-policy-'));
    cleanUp(() => rm(folder, { recursive: true }));
    const file = join(folder, 'wrong.json');
    await writeFile(file, JSON.stringify({ capabilities: { x: { fallback: 'y', strategy: 'best' }, y: { fallback: 'x' } } }));
    for (const role of ['gateway', 'node']) {
      const started = launch(role, ['--registry', registryAddress, '--policy', file]);
      expect(await started.exit).toEqual({ code: 2, signal: null });
      expect(started.stderr).toContain('policy.capabilities.x.strategy');
    }
  });
});
