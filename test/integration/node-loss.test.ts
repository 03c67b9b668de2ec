import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { eventually } from '../support/eventually.js';
import { Load } from '../support/load.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

let registry: Role;
let gateway: Role;

beforeAll(async () => {
  registry = await startRegistry();
  gateway = await startGateway(registry.address, '--lease-ttl', '2');
}, 30_000);

let tests = 0;

/** Two nodes of a test, each with an agent of a kind that offers a capability of the test. */
async function startPair(kind: string) {
  tests += 1;
  const troupe = client(gateway.address);
  const capability = `${kind}-${tests}`;
  const ids = [1, 2].map((n) => `node-${tests}-${n}`);
  const nodes = await Promise.all(ids.map((id) => startNode(id, registry.address, '--lease-ttl', '2')));
  await eventually(async () => {
    for (const id of ids) expect(await troupe.status(id)).toMatchObject({ node: { status: 2 } });
  });
  for (const id of ids) await troupe.deploy({ id: `on-${id}`, kind, capabilities: [capability] }, id);
  const [first, second] = nodes as [Role, Role];
  return { troupe, capability, first, second };
}

const inFlight = async (troupe: TroupeClient, nodeId: string) => (await troupe.status(nodeId)).inFlight;

describe('when a node is killed while it works', () => {
  it('an idempotent task is done elsewhere, and says that it was tried before', async () => {
    const { troupe, capability, first, second } = await startPair('worker');
    const tasks = Array.from({ length: 6 }, () => troupe.run(capability, { ms: 1_000 }, { idempotent: true }));
    await eventually(async () => expect([await inFlight(troupe, first.id), await inFlight(troupe, second.id)]).toEqual([3, 3]));
    await first.process.kill('SIGKILL');
    await expect(troupe.undeploy(`on-${first.id}`)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NOT_CONNECTED',
      message: expect.stringContaining(`node "${first.id}" is not reached: `),
      metadata: { node_id: first.id },
    });
    const attempts = (await Promise.all(tasks)).map(({ attempt, nodeId }) => ({ attempt, nodeId }));
    expect(attempts).toEqual(expect.arrayContaining(Array(6).fill({ attempt: expect.any(Number), nodeId: second.id })));
    expect(attempts.filter(({ attempt }) => attempt > 1)).toHaveLength(3);
  });

  it('any other task ends with OUTCOME_UNKNOWN, and those on other nodes go on', async () => {
    const { troupe, capability, first, second } = await startPair('worker');
    const tasks = Array.from({ length: 4 }, () => troupe.run(capability, { ms: 1_000 }));
    const outcomes = Promise.allSettled(tasks);
    await eventually(async () => expect([await inFlight(troupe, first.id), await inFlight(troupe, second.id)]).toEqual([2, 2]));
    await first.process.kill('SIGKILL');
    const settled = await outcomes;
    const lost = settled.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    expect(lost).toHaveLength(2);
    for (const error of lost)
      expect(error).toMatchObject({ code: 'ABORTED', reason: 'OUTCOME_UNKNOWN', metadata: { node_id: first.id } });
  });

  it('a stream that has begun ends with OUTCOME_UNKNOWN, also of an idempotent task', async () => {
    const { troupe, first } = await startPair('ticker');
    const read = async () => {
      for await (const event of troupe.runStream([], null, { agentId: `on-${first.id}`, idempotent: true }))
        if (event.kind === 'chunk' && event.sequence === 2n) await first.process.kill('SIGKILL');
    };
    await expect(read()).rejects.toMatchObject({ code: 'ABORTED', reason: 'OUTCOME_UNKNOWN' });
  });

  it('none of many idempotent tasks is lost, and none takes long', async () => {
    const { troupe, capability, first } = await startPair('worker');
    const load = new Load(16, () => troupe.run(capability, { ms: 5 }, { idempotent: true }));
    await eventually(() => expect(load.succeeded).toBeGreaterThan(200));
    await first.process.kill('SIGKILL');
    const before = load.succeeded;
    await eventually(() => expect(load.succeeded).toBeGreaterThan(before + 200));
    const { failures, slowestMs } = await load.stop();
    expect(failures).toEqual({});
    expect(slowestMs).toBeLessThan(5_000);
  });
});

describe('when a node freezes while it works', () => {
  it('an idempotent task is done elsewhere once the lease is gone', async () => {
    const { troupe, capability, first, second } = await startPair('worker');
    const tasks = Array.from({ length: 4 }, () => troupe.run(capability, { ms: 300 }, { idempotent: true, timeoutMs: 20_000 }));
    await eventually(async () => expect([await inFlight(troupe, first.id), await inFlight(troupe, second.id)]).toEqual([2, 2]));
    await first.process.kill('SIGSTOP');
    const results = await Promise.all(tasks);
    expect(results.map(({ nodeId }) => nodeId)).toEqual(Array(4).fill(second.id));
    await first.process.kill('SIGCONT');
  });
});
