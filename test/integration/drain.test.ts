import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { eventually } from '../support/eventually.js';
import { Load } from '../support/load.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

let registry: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  registry = await startRegistry();
  troupe = client((await startGateway(registry.address)).address);
}, 30_000);

let tests = 0;

/** A node that will drain and one that stays, with an agent each for a capability of the test, under load. */
async function underLoad() {
  tests += 1;
  const capability = `draining-${tests}`;
  const names = [`leaving-${tests}`, `staying-${tests}`] as const;
  const [leaving, staying] = await Promise.all([startNode(names[0], registry.address), startNode(names[1], registry.address)]);
  await eventually(async () => {
    for (const id of names) expect(await troupe.status(id)).toMatchObject({ node: { status: 2 } });
  });
  for (const id of names) await troupe.deploy({ id: `work-on-${id}`, kind: 'worker', capabilities: [capability] }, id);
  const load = new Load(12, () => troupe.run(capability, { ms: 15 }));
  const streams = new Load(4, async () => {
    let last = '';
    for await (const { kind } of troupe.runStream(capability, { ms: 15 })) last = kind;
    if (last !== 'result') throw new Error(`the stream ended with ${last}`);
  });
  await eventually(() => expect(Math.min(load.succeeded, streams.succeeded)).toBeGreaterThan(50));
  const goesOn = async () => {
    const before = load.succeeded;
    await eventually(() => expect(load.succeeded).toBeGreaterThan(before + 50));
  };
  return { leaving, staying, load, streams, goesOn, capability };
}

describe('a drain under load', () => {
  it('by the call fails no request; the node answers, without agents, until it is told to stop', async () => {
    const { leaving, staying, load, streams, goesOn, capability } = await underLoad();
    const report = await troupe.drain(leaving.id);
    expect(report).toMatchObject({ cancelled: 0 });
    await goesOn();
    expect(await troupe.status(leaving.id)).toMatchObject({ draining: true, agentCount: 0, node: { status: 4 } });
    expect((await load.stop()).failures).toEqual({});
    expect((await streams.stop()).failures).toEqual({});
    expect((await troupe.run(capability, { ms: 0 })).nodeId).toBe(staying.id);
    await expect(troupe.deploy({ id: 'late', kind: 'echo' }, leaving.id)).rejects.toMatchObject({ reason: 'NODE_DRAINING' });
    expect(await leaving.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('by SIGTERM fails no request, and the process ends', async () => {
    const { leaving, load, streams, goesOn } = await underLoad();
    expect(await leaving.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await goesOn();
    expect((await load.stop()).failures).toEqual({});
    expect((await streams.stop()).failures).toEqual({});
    expect((await troupe.instances()).map(({ id }) => id)).not.toContain(leaving.id);
  });
});

describe('a drain with work that takes long', () => {
  it('lets it finish', async () => {
    const node = await startNode('finisher', registry.address);
    await eventually(() => troupe.deploy({ id: 'long-1', kind: 'worker', capabilities: ['long'] }, 'finisher'));
    const task = troupe.run('long', { ms: 1_500 });
    await eventually(async () => expect((await troupe.status('finisher')).inFlight).toBe(1));
    expect(await node.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect((await task).nodeId).toBe('finisher');
  });

  it('calls it off at the end of the grace time, and says that its outcome is not known', async () => {
    const node = await startNode('hasty', registry.address, '--drain-grace', '1');
    await eventually(() => troupe.deploy({ id: 'endless-1', kind: 'worker', capabilities: ['endless'] }, 'hasty'));
    const outcome = expect(troupe.run('endless', { ms: 60_000 })).rejects.toMatchObject({
      code: 'ABORTED',
      reason: 'OUTCOME_UNKNOWN',
    });
    await eventually(async () => expect((await troupe.status('hasty')).inFlight).toBe(1));
    expect(await node.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await outcome;
  });

  it('ends at once at a second signal', async () => {
    const node = await startNode('impatient', registry.address);
    await eventually(() => troupe.deploy({ id: 'endless-2', kind: 'worker', capabilities: ['endless-too'] }, 'impatient'));
    const outcome = expect(troupe.run('endless-too', { ms: 60_000 })).rejects.toMatchObject({ code: 'ABORTED' });
    await eventually(async () => expect((await troupe.status('impatient')).inFlight).toBe(1));
    const ended = node.process.kill('SIGTERM');
    await eventually(async () => expect((await troupe.status('impatient')).draining).toBe(true));
    await node.process.kill('SIGTERM');
    expect(await ended).toEqual({ code: 130, signal: null });
    await outcome;
  });
});

describe('a gateway that is told to stop', () => {
  it('answers the calls that it has, and refuses none that it took', async () => {
    await startNode('behind', registry.address);
    await eventually(() => troupe.deploy({ id: 'behind-1', kind: 'worker', capabilities: ['behind'] }, 'behind'));
    const gateway = await startGateway(registry.address, '--id', 'second-gateway');
    const caller = client(gateway.address);
    const tasks = Array.from({ length: 8 }, () => caller.run('behind', { ms: 500 }));
    await eventually(async () => expect((await troupe.status('behind')).inFlight).toBe(8));
    const exit = gateway.process.kill('SIGTERM');
    expect((await Promise.all(tasks)).map(({ nodeId }) => nodeId)).toEqual(Array(8).fill('behind'));
    caller.close();
    expect(await exit).toEqual({ code: 0, signal: null });
  });
});
