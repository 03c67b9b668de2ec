import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InstanceStatus as Status } from '../../../src/gen/troupe/v1/instance.js';
import { complete, type DeepPartialInstance, RegistryRig, UP } from './registry-rig.js';

let rig: RegistryRig;

beforeEach(() => {
  rig = new RegistryRig();
});
afterEach(() => rig.stop());

const node = (id: string, more: DeepPartialInstance = {}): DeepPartialInstance => ({ service: 'node', id, ...more });
const agent = (id: string, more: DeepPartialInstance = {}): DeepPartialInstance => ({ service: 'agent', id, ...more });
const AT_2 = { endpoint: { host: '127.0.0.1', port: 5_002 } };

describe('Register', () => {
  it('stores instances under a new lease, with defaults, and gives them as stored', async () => {
    const { leaseId, ttl, instances, revision } = await rig.register(
      node('node-1', { capabilities: ['a'], metadata: new Map([['k', 'v']]) }),
    );
    expect(leaseId).toBeGreaterThan(0n);
    expect(ttl).toEqual({ seconds: 10n, nanos: 0 });
    expect(instances).toEqual([
      expect.objectContaining({
        service: 'node',
        id: 'node-1',
        status: UP,
        weight: 1,
        zone: 'default',
        capabilities: ['a'],
        metadata: new Map([['k', 'v']]),
        incarnation: revision,
        revision,
        registeredAt: new Date(rig.clock.now()),
        lastHeartbeatAt: new Date(rig.clock.now()),
        score: 0.1,
      }),
    ]);
    expect((await rig.get('node', 'node-1')).instance).toEqual(instances[0]);
  });

  it('ignores what only the registry sets', async () => {
    const probe = { failing: true, reason: 'forged', since: new Date(0), registryId: 'nobody' };
    const forged = { incarnation: 99n, revision: 99n, score: 99, registeredAt: new Date(0), lastHeartbeatAt: new Date(0), probe };
    const { instances, revision } = await rig.register(node('node-1', forged));
    expect(instances[0]).toMatchObject({ incarnation: revision, revision, score: 0.1, registeredAt: new Date(rig.clock.now()) });
    expect(instances[0]?.probe).toBeUndefined();
  });

  it('grants the life that was asked for', async () => {
    const { ttl } = await rig.registerRaw({ instances: [complete(node('node-1'))], ttl: { seconds: 30n, nanos: 0 } });
    expect(ttl).toEqual({ seconds: 30n, nanos: 0 });
    await rig.clock.advance(29_000);
    expect((await rig.list()).instances).toHaveLength(1);
    await rig.clock.advance(2_000);
    expect((await rig.list()).instances).toHaveLength(0);
  });

  it('stores all or none', async () => {
    await rig.register(agent('taken'));
    const before = await rig.stats();
    await expect(rig.register(agent('new-1'), agent('taken'), agent('new-2'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await rig.stats()).toMatchObject({ instances: 1, revision: before.revision });
    expect((await rig.list()).instances.map(({ id }) => id)).toEqual(['taken']);
  });

  it('refuses an id under another live lease, and says until when', async () => {
    await rig.register(agent('a'));
    await rig.clock.advance(3_000);
    await expect(rig.register(agent('a', { nodeId: 'node-2', ...AT_2 }))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'ALREADY_REGISTERED',
      metadata: { service: 'agent', id: 'a', node_id: 'node-1' },
      retryAfterMs: 7_000,
    });
  });

  it('takes an id whose lease has ended, as a new life of it', async () => {
    const first = await rig.register(agent('a'));
    await rig.clock.advance(11_000);
    const second = await rig.register(agent('a', { nodeId: 'node-2' }));
    expect(second.instances[0]?.incarnation).toBeGreaterThan(first.instances[0]?.incarnation ?? 0n);
  });

  it('takes over an id at the same address: the process was restarted, and what it had is gone', async () => {
    const first = await rig.register(node('node-1'));
    await rig.registerUnder(first.leaseId, agent('a'), agent('b'));
    const second = await rig.register(node('node-1'));
    expect(second.leaseId).not.toBe(first.leaseId);
    expect(second.instances[0]?.incarnation).toBeGreaterThan(first.instances[0]?.incarnation ?? 0n);
    expect((await rig.list()).instances.map(({ id }) => id)).toEqual(['node-1']);
    await expect(rig.registerUnder(first.leaseId, agent('a'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'LEASE_NOT_FOUND',
    });
  });

  it("does not take over at another address, nor an agent at its node's address", async () => {
    await rig.register(node('node-1'), agent('a'));
    await expect(rig.register(node('node-1', AT_2))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(rig.register(agent('a'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('under the same lease again changes what is stored, in the same life', async () => {
    const { leaseId, instances } = await rig.register(agent('a', { weight: 1 }));
    const again = await rig.registerUnder(leaseId, agent('a', { weight: 5 }));
    expect(again.instances[0]).toMatchObject({ weight: 5, incarnation: instances[0]?.incarnation });
    expect(again.instances[0]?.revision).toBeGreaterThan(instances[0]?.revision ?? 0n);
  });

  it('is refused under a lease that is gone', async () => {
    await expect(rig.registerUnder(12_345n, agent('a'))).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND' });
  });

  it('leaves no lease behind when it fails', async () => {
    await rig.register(agent('a'));
    const pending = rig.clock.pending;
    for (let i = 0; i < 5; i++) await expect(rig.register(agent('a'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect((Reflect.get(Reflect.get(rig.store, 'leaseTable') as object, 'leases') as Map<bigint, unknown>).size).toBe(1);
    expect(rig.clock.pending).toBe(pending);
  });

  it('of one id by many at once succeeds for one', async () => {
    const calls = Array.from({ length: 20 }, (_, i) => rig.register(agent('a', { nodeId: `node-${i}` })));
    const results = await Promise.allSettled(calls);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ code: expect.stringMatching(/ALREADY_EXISTS|ABORTED/) });
    expect((await rig.list()).instances).toHaveLength(1);
  });
});

describe('Deregister', () => {
  it('removes some, or the lease with everything', async () => {
    const { leaseId } = await rig.register(node('node-1'), agent('a'), agent('b'), agent('c'));
    await rig.deregister({
      leaseId,
      instances: [
        { service: 'agent', id: 'a' },
        { service: 'agent', id: 'none' },
      ],
    });
    expect((await rig.list()).instances.map(({ id }) => id)).toEqual(['b', 'c', 'node-1']);
    await rig.deregister({ leaseId });
    expect((await rig.list()).instances).toEqual([]);
    await rig.deregister({ leaseId });
    await rig.deregister({ leaseId, instances: [{ service: 'agent', id: 'a' }] });
  });

  it('removes none when one is held by another', async () => {
    const { leaseId } = await rig.register(agent('a'));
    await rig.register(agent('b'));
    const instances = ['a', 'b'].map((id) => ({ service: 'agent', id }));
    await expect(rig.deregister({ leaseId, instances })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'NOT_THE_HOLDER',
    });
    expect((await rig.list()).instances).toHaveLength(2);
  });

  it.each([
    ['lease_id', { leaseId: 0n }],
    ['lease_id', { leaseId: -1n }],
    ['instances', { leaseId: 1n, instances: Array(101).fill({ service: 'agent', id: 'a' }) }],
    ['instances[0].id', { leaseId: 1n, instances: [{ service: 'agent', id: '../x' }] }],
    ['instances[0].service', { leaseId: 1n, instances: [{ service: '', id: 'a' }] }],
  ])('names %s', async (field, request) => {
    await expect(rig.deregister(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });
});

describe('UpdateInstance', () => {
  const key = { service: 'agent', id: 'a' };

  it('changes what is given and leaves the rest', async () => {
    const { leaseId, instances } = await rig.register(
      agent('a', {
        capabilities: ['x'],
        weight: 3,
        metadata: new Map([
          ['k', 'v'],
          ['l', 'w'],
        ]),
      }),
    );
    const { instance } = await rig.update({
      key,
      leaseId,
      metadata: new Map([
        ['k', ''],
        ['m', 'n'],
      ]),
    });
    expect(instance).toMatchObject({ capabilities: ['x'], weight: 3, status: UP, incarnation: instances[0]?.incarnation });
    expect(instance?.metadata).toEqual(
      new Map([
        ['l', 'w'],
        ['m', 'n'],
      ]),
    );
    const next = await rig.update({
      key,
      leaseId,
      weight: 7,
      capabilities: { names: ['y', 'z'] },
      status: Status.INSTANCE_STATUS_DEGRADED,
    });
    expect(next.instance).toMatchObject({ capabilities: ['y', 'z'], weight: 7, status: Status.INSTANCE_STATUS_DEGRADED });
    expect((await rig.update({ key, leaseId, capabilities: { names: [] } })).instance?.capabilities).toEqual([]);
    expect((await rig.get('agent', 'a')).instance?.capabilities).toEqual([]);
  });

  it('checks the change of status', async () => {
    const { leaseId } = await rig.register(agent('a', { status: Status.INSTANCE_STATUS_STARTING }));
    const to = (status: Status) => rig.update({ key, leaseId, status });
    await expect(to(Status.INSTANCE_STATUS_DEGRADED)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'STATUS_TRANSITION',
      metadata: { from: 'starting', to: 'degraded' },
    });
    await to(UP);
    await to(UP);
    await to(Status.INSTANCE_STATUS_STOPPING);
    await expect(to(UP)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await to(Status.INSTANCE_STATUS_DOWN);
    await expect(to(UP)).rejects.toMatchObject({ message: expect.stringContaining('register it again') });
  });

  it('happens only at the revision that was expected', async () => {
    const { leaseId, revision } = await rig.register(agent('a'));
    await expect(rig.update({ key, leaseId, weight: 2, expectedRevision: revision + 1n })).rejects.toMatchObject({
      code: 'ABORTED',
      reason: 'REVISION_MISMATCH',
    });
    const { instance } = await rig.update({ key, leaseId, weight: 2, expectedRevision: revision });
    await expect(rig.update({ key, leaseId, weight: 3, expectedRevision: revision })).rejects.toMatchObject({ code: 'ABORTED' });
    await rig.update({ key, leaseId, weight: 4, expectedRevision: instance?.revision ?? 0n });
  });

  it('is refused to others, and for what is not there', async () => {
    const { leaseId } = await rig.register(agent('a'));
    await expect(rig.update({ key, leaseId: leaseId + 1n, weight: 2 })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(rig.update({ key: { service: 'agent', id: 'none' }, leaseId, weight: 2 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_INSTANCE',
    });
  });

  it('by many at once loses nothing', async () => {
    const { leaseId } = await rig.register(agent('a'));
    const results = await Promise.allSettled(
      Array.from({ length: 4 }, (_, i) => rig.update({ key, leaseId, metadata: new Map([[`k${i}`, 'v']]) })),
    );
    const done = results.filter(({ status }) => status === 'fulfilled').length;
    expect((await rig.get('agent', 'a')).instance?.metadata.size).toBe(done);
    expect(done).toBeGreaterThan(0);
  });

  it('does not let entries grow without bound', async () => {
    const { leaseId } = await rig.register(agent('a'));
    const entries = (prefix: string) => new Map(Array.from({ length: 40 }, (_, i) => [`${prefix}${i}`, 'v'] as const));
    await rig.update({ key, leaseId, metadata: entries('a') });
    await expect(rig.update({ key, leaseId, metadata: entries('b') })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'metadata' }],
    });
  });

  it.each([
    ['key', { leaseId: 1n }],
    ['key.id', { key: { service: 'agent', id: 'A' }, leaseId: 1n }],
    ['key.service', { key: { service: 'a/b', id: 'a' }, leaseId: 1n }],
    ['lease_id', { key }],
    ['weight', { key, leaseId: 1n, weight: 1_001 }],
    ['weight', { key, leaseId: 1n, weight: 0 }],
    ['capabilities.names[0]', { key, leaseId: 1n, capabilities: { names: ['No'] } }],
    ['capabilities.names', { key, leaseId: 1n, capabilities: { names: Array.from({ length: 65 }, (_, i) => `c${i}`) } }],
    ['metadata', { key, leaseId: 1n, metadata: new Map([['', 'v']]) }],
    ['metadata["k"]', { key, leaseId: 1n, metadata: new Map([['k', 'x'.repeat(1_025)]]) }],
    ['status', { key, leaseId: 1n, status: 99 as Status }],
  ])('names %s', async (field, request) => {
    await expect(rig.update(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });
});

describe('a verdict', () => {
  const key = { service: 'node', id: 'node-1' };
  const verdict = { failing: true, reason: 'no answer', sinceMs: 1_000, registryId: 'registry-1' };
  const signal = new AbortController().signal;
  const leaderKey = '/troupe/v1/leaders/registry';

  /** The token of whoever has just begun to lead. */
  async function lead() {
    const { revision } = await rig.store.txn([], [{ kind: 'put', key: leaderKey, value: new Uint8Array(), leaseId: 0n }]);
    return { key: leaderKey, modRevision: revision };
  }

  async function registered() {
    const { instances, leaseId } = await rig.register(node('node-1', { weight: 3, metadata: new Map([['k', 'v']]) }));
    return { incarnation: instances[0]?.incarnation ?? 0n, leaseId };
  }

  it('goes into the record and out of it, and leaves the rest as it is', async () => {
    const { incarnation } = await registered();
    const before = (await rig.get('node', 'node-1')).instance;
    const basis = { incarnation, token: await lead(), signal };
    expect(await rig.registrar.judge(key, verdict, basis)).toBe(true);
    const { instance } = await rig.get('node', 'node-1');
    expect(instance).toEqual({
      ...before,
      revision: expect.any(BigInt),
      probe: { failing: true, reason: 'no answer', since: new Date(1_000), registryId: 'registry-1' },
    });
    expect(await rig.registrar.judge(key, undefined, basis)).toBe(true);
    expect((await rig.get('node', 'node-1')).instance).toEqual({ ...before, revision: expect.any(BigInt) });
  });

  it('is not written again where it stands', async () => {
    const { incarnation } = await registered();
    const basis = { incarnation, token: await lead(), signal };
    expect(await rig.registrar.judge(key, undefined, basis)).toBe(false);
    await rig.registrar.judge(key, verdict, basis);
    const before = (await rig.get('node', 'node-1')).instance;
    expect(await rig.registrar.judge(key, { ...verdict, reason: 'another' }, basis)).toBe(false);
    expect((await rig.get('node', 'node-1')).instance).toEqual(before);
  });

  it('goes with the lease of its instance, and is not for another life of it', async () => {
    const { incarnation, leaseId } = await registered();
    const basis = { incarnation, token: await lead(), signal };
    await rig.registrar.judge(key, verdict, basis);
    await rig.deregister({ leaseId });
    await expect(rig.get('node', 'node-1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await rig.registrar.judge(key, verdict, basis)).toBe(false);
    await registered();
    expect((await rig.get('node', 'node-1')).instance?.probe).toBeUndefined();
    expect(await rig.registrar.judge(key, verdict, basis)).toBe(false);
    expect((await rig.get('node', 'node-1')).instance?.probe).toBeUndefined();
  });

  it('is refused to whoever does not lead any more, or never has', async () => {
    const { incarnation } = await registered();
    const stale = await lead();
    await lead();
    for (const token of [stale, { key: leaderKey, modRevision: 0n }])
      expect(await rig.registrar.judge(key, verdict, { incarnation, token, signal })).toBe(false);
    expect((await rig.get('node', 'node-1')).instance?.probe).toBeUndefined();
  });

  it("and an owner's change at the same moment do not undo each other", async () => {
    const { incarnation, leaseId } = await registered();
    const basis = { incarnation, token: await lead(), signal };
    const [isWritten] = await Promise.all([
      rig.registrar.judge(key, verdict, basis),
      rig.update({ key, leaseId, weight: 9, status: Status.INSTANCE_STATUS_STOPPING }),
    ]);
    const { instance } = await rig.get('node', 'node-1');
    expect(instance).toMatchObject({ weight: 9, status: Status.INSTANCE_STATUS_STOPPING });
    expect(instance?.probe !== undefined).toBe(isWritten);
  });

  it('ends with its signal', async () => {
    const { incarnation } = await registered();
    const basis = { incarnation, token: await lead(), signal: AbortSignal.abort() };
    await expect(rig.registrar.judge(key, verdict, basis)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('a registration', () => {
  const good = complete(agent('a'));
  const wish = { ...good, service: 'interest', metadata: new Map([['pattern', 'a.>']]) };

  it.each<[string, Parameters<RegistryRig['registerRaw']>[0]]>([
    ['instances', { instances: [] }],
    ['instances', { instances: Array.from({ length: 101 }, (_, i) => complete(agent(`a${i}`))) }],
    ['instances', { instances: [good, good] }],
    ['instances[0].id', { instances: [{ ...good, id: '' }] }],
    ['instances[0].id', { instances: [{ ...good, id: '../x' }] }],
    ['instances[0].id', { instances: [{ ...good, id: 'a/b' }] }],
    ['instances[0].id', { instances: [{ ...good, id: 'a\0' }] }],
    ['instances[0].id', { instances: [{ ...good, id: 'a\u202e' }] }],
    ['instances[0].id', { instances: [{ ...good, id: 'x'.repeat(10_240) }] }],
    ['instances[0].id', { instances: [{ ...good, id: 'a\n' }] }],
    ['instances[0].service', { instances: [{ ...good, service: 'No' }] }],
    ['instances[0].zone', { instances: [{ ...good, zone: 'No' }] }],
    ['instances[0].weight', { instances: [{ ...good, weight: 1_001 }] }],
    ['instances[0].weight', { instances: [{ ...good, weight: 0 }] }],
    ['instances[0].node_id', { instances: [{ ...good, nodeId: '' }] }],
    ['instances[0].node_id', { instances: [{ ...good, service: 'x', nodeId: '..' }] }],
    ['instances[0].node_id', { instances: [{ ...wish, nodeId: '' }] }],
    ['instances[0].metadata["pattern"]', { instances: [{ ...wish, metadata: new Map() }] }],
    ['instances[0].metadata["pattern"]', { instances: [{ ...wish, metadata: new Map([['pattern', 'a.>.b']]) }] }],
    ['instances[0].endpoint', { instances: [{ ...good, endpoint: undefined }] }],
    ['instances[0].endpoint.host', { instances: [{ ...good, endpoint: { host: '', port: 1 } }] }],
    ['instances[0].endpoint.host', { instances: [{ ...good, endpoint: { host: 'http://x', port: 1 } }] }],
    ['instances[0].endpoint.host', { instances: [{ ...good, endpoint: { host: 'x:1', port: 1 } }] }],
    ['instances[0].endpoint.host', { instances: [{ ...good, endpoint: { host: 'x'.repeat(254), port: 1 } }] }],
    ['instances[0].endpoint.port', { instances: [{ ...good, endpoint: { host: 'x', port: 0 } }] }],
    ['instances[0].endpoint.port', { instances: [{ ...good, endpoint: { host: 'x', port: 65_536 } }] }],
    ['instances[0].capabilities[1]', { instances: [{ ...good, capabilities: ['a', 'a'] }] }],
    ['instances[0].capabilities', { instances: [{ ...good, capabilities: Array.from({ length: 65 }, (_, i) => `c${i}`) }] }],
    [
      'instances[0].metadata',
      { instances: [{ ...good, metadata: new Map(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''] as const)) }] },
    ],
    ['instances[0].status', { instances: [{ ...good, status: 99 as Status }] }],
    ['lease_id', { instances: [good], leaseId: -1n }],
    ['ttl', { instances: [good], ttl: { seconds: 1n, nanos: 0 } }],
    ['ttl', { instances: [good], ttl: { seconds: 601n, nanos: 0 } }],
    ['ttl', { instances: [good], ttl: { seconds: 5n, nanos: 1_000_000 } }],
    ['ttl', { instances: [good], ttl: { seconds: -5n, nanos: 0 } }],
    ['ttl', { instances: [good], ttl: { seconds: 2n ** 62n, nanos: 0 } }],
  ])('names %s', async (field, request) => {
    await expect(rig.registerRaw(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
    expect((await rig.list()).instances).toEqual([]);
  });

  it('names every wrong field of every instance', async () => {
    const wrong = rig.registerRaw({ instances: [{ ...good, id: '', weight: 2_000 }, good, { ...good, zone: '!', id: 'b' }] });
    await expect(wrong).rejects.toMatchObject({
      violations: expect.arrayContaining(
        ['instances[0].id', 'instances[0].weight', 'instances[2].zone'].map((field) => expect.objectContaining({ field })),
      ),
    });
  });

  it.each(['localhost', 'node-1.example.com', '10.0.0.1', '::1', 'fe80::1', '2001:db8::ff00:42:8329', 'pod_1'])(
    'takes the host %s',
    async (host) => {
      await rig.register(agent('a', { endpoint: { host, port: 1 } }));
    },
  );
});
