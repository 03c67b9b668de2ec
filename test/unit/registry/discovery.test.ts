import { afterEach, describe, expect, it } from '@jest/globals';
import { STRATEGY_NAMES, type StrategyName } from '../../../src/balancer/strategies.js';
import { Catalog } from '../../../src/discovery/catalog.js';
import { Strategy } from '../../../src/gen/troupe/v1/strategy.js';
import { Discovery } from '../../../src/registry/discovery.js';
import type { StoredInstance } from '../../../src/registry/stored-instance.js';
import { strategyToMessage } from '../../../src/rpc/codec/strategy.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { instanceOf } from '../discovery/instances.js';
import { RegistryRig, settle } from './registry-rig.js';

let rig: RegistryRig;

async function start(...instances: Parameters<RegistryRig['register']>) {
  rig = new RegistryRig();
  await settle();
  return rig.register(...instances);
}

const strategy = (name: StrategyName) => strategyToMessage(name);

async function ids(times: number, request: Parameters<RegistryRig['discover']>[0]): Promise<string[]> {
  const got: string[] = [];
  for (let i = 0; i < times; i++) got.push((await rig.discover(request)).instance?.id ?? '');
  return got;
}

describe('Discover', () => {
  afterEach(() => rig.stop());

  it.each(STRATEGY_NAMES)('by %s gives one that is UP', async (name) => {
    await start({ id: 'a' }, { id: 'b' });
    const found = await ids(20, { strategy: strategy(name), routingKey: 'customer-7' });
    expect(found.every((id) => id === 'a' || id === 'b')).toBe(true);
  });

  it('by consistent hashing gives the same one for the same key, also at once and after others came', async () => {
    await start(...Array.from({ length: 8 }, (_, i) => ({ id: `agent-${i}` })));
    const ask = (routingKey: string) => ids(5, { strategy: Strategy.STRATEGY_CONSISTENT_HASH, routingKey });
    const owners = new Map<string, string>();
    for (let key = 0; key < 50; key++) {
      const found = await ask(`customer-${key}`);
      expect(new Set(found).size).toBe(1);
      owners.set(`customer-${key}`, found[0] ?? '');
    }
    expect(new Set(owners.values()).size).toBeGreaterThan(4);
    await rig.register({ id: 'agent-new' });
    for (const [key, owner] of owners) expect([owner, 'agent-new']).toContain((await ask(key))[0]);
  });

  it('by consistent hashing gives a key back to the one that was away for a while', async () => {
    const { leaseId } = await start({ id: 'a' }, { id: 'b' }, { id: 'c' });
    const ask = async () => (await ids(1, { strategy: Strategy.STRATEGY_CONSISTENT_HASH, routingKey: 'x' }))[0] ?? '';
    const owner = await ask();
    await rig.deregister({ leaseId, instances: [{ service: 'agent', id: owner }] });
    expect(await ask()).not.toBe(owner);
    await rig.registerUnder(leaseId, { id: owner });
    expect(await ask()).toBe(owner);
  });

  it('by weighted round robin gives each as often as its weight says', async () => {
    await start({ id: 'a', weight: 3 }, { id: 'b', weight: 1 });
    const found = await ids(400, { strategy: Strategy.STRATEGY_WEIGHTED_ROUND_ROBIN });
    expect(Math.abs(found.filter((id) => id === 'a').length - 300)).toBeLessThanOrEqual(2);
  });

  it.each([
    [{ strategy: Strategy.STRATEGY_CONSISTENT_HASH }, 'is required by STRATEGY_CONSISTENT_HASH'],
    [{ strategy: Strategy.STRATEGY_CONSISTENT_HASH, routingKey: 'x'.repeat(1_025) }, 'must be at most 1024 bytes'],
    [{ routingKey: '€'.repeat(342) }, 'must be at most 1024 bytes'],
  ])('names routing_key of request %#', async (request, description) => {
    await start({ id: 'a' });
    await expect(rig.discover(request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'routing_key', description }],
    });
  });

  it('takes a key of 1 KiB', async () => {
    await start({ id: 'a' });
    const request = { strategy: Strategy.STRATEGY_CONSISTENT_HASH, routingKey: 'x'.repeat(1_024) };
    expect(await ids(1, request)).toEqual(['a']);
  });
});

describe('what was handed out', () => {
  const handOut = (name: StrategyName, times: number) => {
    const clock = new FakeClock();
    const discovery = new Discovery({ clock, random: seededRandom(testSeed) });
    const stored = ['a', 'b', 'c'].map((id) => ({ instance: instanceOf('agent', id), leaseId: 1n }));
    const catalog = Catalog.empty<StoredInstance>().with(
      stored.map((known) => ({ kind: 'put', known })),
      1n,
    );
    const choose = () => discovery.choose(catalog, { service: 'agent', capabilities: [], strategy: name, hash: 7 }).instance.id;
    return { clock, choose, chosen: Array.from({ length: times }, choose) };
  };

  it.each<StrategyName>(['least_connections', 'peak_ewma'])('counts for 10 s by %s', async (name) => {
    const { clock, choose, chosen } = handOut(name, 2);
    expect(new Set(chosen).size).toBe(2);
    expect(clock.pending).toBe(2);
    if (name === 'least_connections') expect(chosen).not.toContain(choose());
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
  });

  it.each(STRATEGY_NAMES.filter((name) => !['least_connections', 'peak_ewma'].includes(name)))('does not count by %s', (name) => {
    expect(handOut(name, 20).clock.pending).toBe(0);
  });
});

describe('what is known of 1,000 choices', () => {
  const services = Array.from({ length: 1_000 }, (_, n) => `service-${n}`);
  const first = Catalog.empty<StoredInstance>().with(
    services.flatMap((service) =>
      ['a', 'b'].map((id) => ({ kind: 'put' as const, known: { instance: instanceOf(service, id), leaseId: 1n } })),
    ),
    1n,
  );

  it('goes on when the catalog changes: each goes to the one whose turn it is', () => {
    const discovery = new Discovery({ clock: new FakeClock(), random: seededRandom(testSeed) });
    const choose = (catalog: Catalog<StoredInstance>) =>
      services.map((service) => discovery.choose(catalog, { service, capabilities: [], strategy: 'round_robin' }).instance.id);
    const before = choose(first);
    const after = choose(first.with([{ kind: 'put', known: { instance: instanceOf('other', 'x'), leaseId: 1n } }], 2n));
    expect(after.filter((id, n) => id === before[n])).toEqual([]);
  });
});

describe('probes', () => {
  const probe = { failing: true, reason: 'no answer', sinceMs: 0, registryId: 'registry-1' };

  it.each([
    ['are left out', 1, ['a1', 'a2']],
    ['are taken all the same where most do', 2, ['a0', 'a1', 'a2']],
  ])('agents whose nodes fail them %s', (_what, failing, expected) => {
    const discovery = new Discovery({ clock: new FakeClock(), random: seededRandom(testSeed) });
    const instances = [0, 1, 2].flatMap((n) => [
      instanceOf('node', `n${n}`, n < failing ? { probe } : {}),
      instanceOf('agent', `a${n}`, { nodeId: `n${n}` }),
    ]);
    const catalog = Catalog.empty<StoredInstance>().with(
      instances.map((instance) => ({ kind: 'put', known: { instance, leaseId: 1n } })),
      1n,
    );
    const wanted = { service: 'agent', capabilities: [], strategy: 'round_robin', hash: undefined } as const;
    const chosen = new Set(Array.from({ length: 9 }, () => discovery.choose(catalog, wanted).instance.id));
    expect([...chosen].sort()).toEqual(expected);
  });
});
