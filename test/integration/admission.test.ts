import { beforeAll, describe, expect, it } from '@jest/globals';
import { startNode as startNodeHere } from '../../src/app/start-node.js';
import type { TroupeClient } from '../../src/client/client.js';
import type { TroupeError } from '../../src/core/errors.js';
import { CircuitState } from '../../src/gen/troupe/v1/health.js';
import { eventually } from '../support/eventually.js';
import { client, startGateway, startNode, startRegistry } from '../support/roles.js';

let troupe: TroupeClient;

beforeAll(async () => {
  const registry = await startRegistry();
  const [, gateway] = await Promise.all([startNode('node-1', registry.address), startGateway(registry.address)]);
  troupe = client(gateway.address);
  await eventually(() => troupe.deploy({ id: 'echo-1', kind: 'echo' }, 'node-1'));
}, 30_000);

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    ({ reason }: TroupeError) => reason,
  );

describe('an agent that fails again and again', () => {
  it('gets no more tasks for a while, and everybody can see why', async () => {
    await troupe.deploy({ id: 'broken-1', kind: 'broken' });
    for (let i = 0; i < 5; i++) expect(await reasonOf(troupe.run('breaking', 'x'))).toBe('AGENT_ERROR');
    await expect(troupe.run('breaking', 'x', { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CIRCUIT_OPEN',
      metadata: { agent_id: 'broken-1', node_id: 'node-1' },
    });
    const { circuits } = await troupe.status('node-1');
    expect(circuits).toMatchObject([
      { service: 'agent', id: 'broken-1', state: CircuitState.CIRCUIT_STATE_OPEN, failures: 5n, openings: 1 },
    ]);
    expect(circuits[0]?.lastFailure).toContain('the weights are corrupt');
    expect((await troupe.agentsOf('node-1')).find(({ manifest }) => manifest?.id === 'broken-1')?.circuit).toMatchObject({
      state: CircuitState.CIRCUIT_STATE_OPEN,
    });
  });
});

describe('an agent with more to do than it can', () => {
  it('refuses at once what would be late, and does the rest in time', async () => {
    await troupe.deploy({ id: 'worker-1', kind: 'worker', concurrency: 1 });
    for (let i = 0; i < 10; i++) await troupe.run('work', { ms: 20 });
    const reasons = await Promise.all(
      Array.from({ length: 60 }, () => reasonOf(troupe.run('work', { ms: 20 }, { timeoutMs: 400 }))),
    );
    const count = (reason: string) => reasons.filter((other) => other === reason).length;
    expect(count('WOULD_BE_LATE')).toBeGreaterThan(30);
    expect(count('done')).toBeGreaterThan(5);
    expect(count('done') + count('WOULD_BE_LATE')).toBeGreaterThan(55);
    const status = (await troupe.agentsOf('node-1')).find(({ manifest }) => manifest?.id === 'worker-1');
    expect(status).toMatchObject({ concurrencyLimit: 1, refused: BigInt(count('WOULD_BE_LATE')) });
  });
});

describe('a node', () => {
  it('tells how busy its process is', async () => {
    await eventually(async () => {
      const { cpu, eventLoopDelay } = await troupe.status('node-1');
      expect(cpu).toBeGreaterThan(0);
      expect(eventLoopDelay).toBeDefined();
    });
  });
});

describe('a manifest with an explicit 0', () => {
  it.each(['concurrency', 'mailboxCapacity', 'weight'])(
    'for %s is refused by the client and by a node in this process',
    async (field) => {
      const manifest = { id: 'zero-1', kind: 'echo', [field]: 0 };
      await expect(troupe.deploy(manifest)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
      await expect(startNodeHere({ agents: [], deploy: [manifest] })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        violations: [{ field: `deploy[0].${field}` }],
      });
    },
  );
});
