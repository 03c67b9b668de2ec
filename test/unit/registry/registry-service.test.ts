import { afterEach, describe, expect, it } from '@jest/globals';
import { EventQueue } from '../../../src/core/event-queue.js';
import { CircuitState } from '../../../src/gen/troupe/v1/health.js';
import { InstanceStatus as Status } from '../../../src/gen/troupe/v1/instance.js';
import { type KeepAliveRequest, MemberReport } from '../../../src/gen/troupe/v1/registry.js';
import { Strategy } from '../../../src/gen/troupe/v1/strategy.js';
import { MemoryStore } from '../../../src/store/memory-store.js';
import { FakeClock } from '../../support/fake-clock.js';
import { callOf, RegistryRig, settle, UP, type Watcher } from './registry-rig.js';

let rig: RegistryRig;
const watchers: Watcher[] = [];

async function start(options: ConstructorParameters<typeof RegistryRig>[0] = {}): Promise<RegistryRig> {
  rig = new RegistryRig(options);
  if (options.run !== false) await rig.mirror.firstRead;
  return rig;
}

function watch(service = '', fromRevision = 0n): Watcher {
  const watcher = rig.watch(service, fromRevision);
  watchers.push(watcher);
  return watcher;
}

afterEach(async () => {
  for (const watcher of watchers.splice(0)) await watcher.stop();
  await settle();
  expect(rig.hub.watchers).toBe(0);
  await rig.stop();
});

const agents = (...ids: string[]) => ids.map((id) => ({ service: 'agent', id }));

describe('Watch', () => {
  it('starts with what is there, goes on with every change in order, and tells its age', async () => {
    await start();
    const { leaseId } = await rig.register({ service: 'node', id: 'node-1' });
    const watcher = watch();
    await settle();
    expect(watcher.kinds).toEqual(['snapshot', 'progress']);
    await rig.registerUnder(leaseId, ...agents('a', 'b'));
    await rig.deregister({ leaseId, instances: agents('a') });
    await rig.update({ key: { service: 'agent', id: 'b' }, leaseId, weight: 2 });
    await settle();
    expect(watcher.changes).toEqual(['+agent/a', '+agent/b', '-agent/a', '+agent/b']);
    const revisions = watcher.messages.flatMap(({ event }) => (event?.$case === 'changes' ? [event.value.revision] : []));
    expect(revisions).toEqual([...revisions].sort((x, y) => (x < y ? -1 : 1)));
    await rig.clock.advance(4_000);
    await settle();
    expect(watcher.kinds.filter((kind) => kind === 'progress')).toHaveLength(3);
  });

  it('tells what ends with a lease in one message', async () => {
    await start();
    await rig.register({ service: 'node', id: 'node-1' }, ...agents('a', 'b'));
    const watcher = watch();
    await rig.clock.advance(10_500);
    await settle();
    const last = watcher.messages.filter(({ event }) => event?.$case === 'changes').at(-1);
    expect(last?.event?.$case === 'changes' && last.event.value.changes).toHaveLength(3);
    expect(watcher.known.size).toBe(0);
  });

  it('of one service tells of no other', async () => {
    await start();
    const { leaseId } = await rig.register({ service: 'node', id: 'node-1' }, ...agents('a'));
    const watcher = watch('agent');
    await settle();
    await rig.registerUnder(leaseId, { service: 'node', id: 'node-2' });
    await rig.registerUnder(leaseId, ...agents('b'));
    await rig.deregister({ leaseId, instances: [{ service: 'node', id: 'node-2' }] });
    await settle();
    expect([...watcher.known.keys()].sort()).toEqual(['agent/a', 'agent/b']);
    expect(watcher.changes).toEqual(['+agent/b']);
  });

  it('resumes where it broke off, without a gap and without repeating', async () => {
    await start();
    const { leaseId } = await rig.register(...agents('a'));
    const before = watch();
    await rig.registerUnder(leaseId, ...agents('b'));
    await settle();
    const { revision } = before;
    await before.stop();
    await rig.deregister({ leaseId, instances: agents('a') });
    await rig.registerUnder(leaseId, ...agents('c'));
    const after = watch('', revision);
    await settle();
    expect(after.kinds).toEqual(['changes', 'changes', 'progress']);
    expect(after.changes).toEqual(['-agent/a', '+agent/c']);
    await rig.registerUnder(leaseId, ...agents('d'));
    await settle();
    expect(after.changes.at(-1)).toBe('+agent/d');
  });

  it('starts anew from a revision that is not known any more, or not yet after a while', async () => {
    await start();
    const { leaseId, revision } = await rig.register(...agents('a'));
    for (let i = 0; i < 120; i++) {
      const ids = Array.from({ length: 100 }, (_, j) => `x${j}`);
      await rig.registerUnder(leaseId, ...agents(...ids));
    }
    const old = watch('', revision);
    await settle();
    expect(old.kinds[0]).toBe('snapshot');
    expect(old.known.size).toBe(101);
    const future = watch('', revision + 1_000_000n);
    await settle();
    expect(future.kinds).toEqual([]);
    await rig.clock.advance(2_000);
    await settle();
    expect(future.kinds[0]).toBe('snapshot');
    expect(future.known.size).toBe(101);
  });

  it('comes in parts where it is large', async () => {
    await start();
    const ids = Array.from({ length: 2_500 }, (_, i) => `x${i}`);
    const { leaseId } = await rig.register(...agents('first'));
    for (let from = 0; from < ids.length; from += 100)
      await rig.registerUnder(leaseId, ...agents(...ids.slice(from, from + 100)));
    const watcher = watch();
    await settle();
    expect(watcher.kinds).toEqual(['snapshot', 'snapshot', 'snapshot', 'progress']);
    expect(watcher.messages.map(({ event }) => event?.$case === 'snapshot' && [event.value.first, event.value.last])).toEqual([
      [true, false],
      [false, false],
      [false, true],
      false,
    ]);
    expect(watcher.known.size).toBe(2_501);
  });

  it('survives a compaction of the store: what went meanwhile is gone, what came is there', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    await start({ store });
    const { leaseId } = await rig.register(...agents('stays', 'goes'));
    const watcher = watch();
    await settle();
    const before = watcher.revision;
    // The registry is not told of what follows: its watch is behind when the history goes.
    const put = (id: string) => ({ kind: 'put' as const, key: rig.keys.instance('agent', id), value: new Uint8Array(), leaseId });
    const instance = await store.get(rig.keys.instance('agent', 'stays'));
    const writes = [{ ...put('comes'), value: instance?.value ?? new Uint8Array() }];
    void store.txn([], [{ kind: 'delete', key: rig.keys.instance('agent', 'goes') }]);
    void store.txn([], writes);
    store.compact();
    await settle();
    await settle();
    expect(rig.logger.at('warn')).toEqual(['the watch fell behind the compaction of the store; listing anew']);
    expect(watcher.changes).toContain('-agent/goes');
    expect([...watcher.known.keys()]).not.toContain('agent/goes');
    expect(watcher.revision).toBeGreaterThan(before);
    const late = watch('', before);
    const fresh = watch();
    await settle();
    expect(late.changes).toContain('-agent/goes');
    expect([...fresh.known.keys()].sort()).toEqual([...watcher.known.keys()].sort());
  });

  it('marks the parts of a large batch so that whoever loses them in between gets all of it again, anywhere', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    await start({ store });
    const { leaseId, revision } = await rig.register(...agents('first'));
    const watcher = watch();
    await settle();
    const value = (await store.get(rig.keys.instance('agent', 'first')))?.value ?? new Uint8Array();
    const ids = Array.from({ length: 1_200 }, (_, i) => `x${i}`);
    for (let from = 0; from < ids.length; from += 100) {
      const writes = ids
        .slice(from, from + 100)
        .map((id) => ({ kind: 'put' as const, key: rig.keys.instance('agent', id), value, leaseId }));
      void store.txn([], writes);
    }
    store.compact();
    await settle();
    await settle();
    const revisions = watcher.messages.flatMap(({ event }) => (event?.$case === 'changes' ? [event.value.revision] : []));
    expect(revisions).toEqual([revision, revision + 12n]);
  });

  it('waits, where the store has just begun with nothing, until the nodes are back', async () => {
    await start({ recoveryMs: 3_000 });
    const resumed = watch('', 5n);
    const fresh = watch();
    await settle();
    expect(resumed.kinds).toEqual([]);
    expect(fresh.kinds).toEqual(['snapshot', 'progress']);
    await rig.register(...agents('a'));
    await rig.clock.advance(3_000);
    await settle();
    expect([...resumed.known.keys()]).toEqual(['agent/a']);
  });

  it('ends a reader that is too slow, and no other', async () => {
    await start();
    const { leaseId } = await rig.register(...agents('a'));
    const controller = new AbortController();
    const slow = rig.service.watch({ service: '', fromRevision: 0n }, callOf(controller.signal))[Symbol.asyncIterator]();
    await slow.next();
    const quick = watch();
    await settle();
    for (let i = 0; i < 2_100; i++) await rig.update({ key: { service: 'agent', id: 'a' }, leaseId, weight: (i % 1_000) + 1 });
    await settle();
    expect(quick.changes).toHaveLength(2_100);
    const drain = async () => {
      while ((await slow.next()).done !== true);
    };
    await expect(drain()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'SLOW_READER' });
  });

  it('names what is wrong', async () => {
    await start();
    expect(() => rig.service.watch({ service: 'No', fromRevision: 0n }, callOf(new AbortController().signal))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field: 'service' })] }),
    );
    expect(() => rig.service.watch({ service: '', fromRevision: -1n }, callOf(new AbortController().signal))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field: 'from_revision' })] }),
    );
  });
});

describe('the hub', () => {
  it('ends when it is told to, also before it has begun', async () => {
    await start();
    const controller = new AbortController();
    controller.abort();
    await settle();
    const pending = rig.clock.pending;
    await rig.hub.run(controller.signal);
    expect(rig.clock.pending).toBe(pending);
  });
});

describe('a registry that has not read its store', () => {
  it('says so instead of telling of an empty cluster', async () => {
    await start({ run: false });
    const unavailable = { code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 1_000 };
    await expect(rig.list()).rejects.toMatchObject(unavailable);
    await expect(rig.discover()).rejects.toMatchObject(unavailable);
    await expect(rig.stats()).rejects.toMatchObject(unavailable);
    const watcher = watch();
    await settle();
    expect(watcher.error).toMatchObject(unavailable);
  });
});

describe('KeepAlive', () => {
  async function* requests(...given: Partial<KeepAliveRequest>[]): AsyncGenerator<KeepAliveRequest> {
    for (const each of given) yield { leaseId: 0n, sequence: 0n, report: undefined, ...each };
  }

  it('renews, and answers each request with its number', async () => {
    await start();
    const { leaseId } = await rig.register(...agents('a'));
    const call = callOf(new AbortController().signal);
    for (let i = 1n; i <= 5n; i++) {
      await rig.clock.advance(8_000);
      for await (const answer of rig.service.keepAlive(requests({ leaseId, sequence: i }), call))
        expect(answer).toEqual({ leaseId, sequence: i, ttl: { seconds: 10n, nanos: 0 } });
    }
    expect((await rig.get('agent', 'a')).instance?.lastHeartbeatAt).toEqual(new Date(rig.clock.now()));
    expect((await rig.stats()).keepAlives).toBe(0);
  });

  it('ends with NOT_FOUND / LEASE_NOT_FOUND when the lease is gone', async () => {
    await start();
    const { leaseId } = await rig.register(...agents('a'));
    await rig.deregister({ leaseId });
    const call = rig.service.keepAlive(requests({ leaseId, sequence: 1n }), callOf(new AbortController().signal));
    await expect(call[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND' });
    expect((await rig.stats()).keepAlives).toBe(0);
  });

  it('needs a lease', async () => {
    await start();
    const call = rig.service.keepAlive(requests({ sequence: 1n }), callOf(new AbortController().signal));
    await expect(call[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'lease_id' }],
    });
  });
});

describe('reports of members', () => {
  const NODE_CIRCUIT = { service: 'node', id: 'node-1', state: CircuitState.CIRCUIT_STATE_OPEN, consecutiveFailures: 5 };
  type PartialReport = NonNullable<Parameters<typeof MemberReport.fromPartial>[0]>;

  /** A keep-alive stream that a test renews over. */
  class Stream {
    private readonly requests = new EventQueue<KeepAliveRequest>(10, () => new Error('full'));
    private readonly answers = rig.service.keepAlive(this.requests, callOf(new AbortController().signal))[Symbol.asyncIterator]();

    async renew(leaseId: bigint, report?: PartialReport): Promise<void> {
      this.requests.push({ leaseId, sequence: 1n, report: report === undefined ? undefined : MemberReport.fromPartial(report) });
      await this.answers.next();
    }

    async end(): Promise<void> {
      this.requests.close();
      await this.answers.next();
    }
  }

  const member = async (service: string, id: string) => {
    const { leaseId } = await rig.register({ service, id });
    return leaseId;
  };
  const nodes = async () => (await rig.stats()).services.find(({ service }) => service === 'node');

  it('are summed up by service, and told circuit by circuit', async () => {
    await start();
    const [one, two, gateway, silent] = [
      await member('node', 'node-1'),
      await member('node', 'node-2'),
      await member('gateway', 'gw'),
      await member('node', 'node-3'),
    ];
    await rig.registerUnder(one, ...agents('a'));
    const streams = [new Stream(), new Stream(), new Stream(), new Stream()] as const;
    const circuit = { service: 'agent', id: 'a', state: CircuitState.CIRCUIT_STATE_HALF_OPEN };
    await streams[0].renew(one, { inFlight: 3, queued: 4, circuits: [circuit] });
    await streams[1].renew(two, { inFlight: 10, queued: 20 });
    await streams[2].renew(gateway, { circuits: [NODE_CIRCUIT] });
    await streams[3].renew(silent);
    const { services, circuits } = await rig.stats();
    expect(services).toMatchObject([
      { service: 'agent', inFlight: 0, queued: 0, reporting: 0 },
      { service: 'gateway', inFlight: 0, queued: 0, reporting: 1 },
      { service: 'node', instances: 3, inFlight: 13, queued: 24, reporting: 2 },
    ]);
    expect(circuits).toEqual([
      { reporterService: 'gateway', reporterId: 'gw', circuit: expect.objectContaining(NODE_CIRCUIT) },
      { reporterService: 'node', reporterId: 'node-1', circuit: expect.objectContaining(circuit) },
    ]);
    for (const stream of streams) await stream.end();
  });

  it('are replaced by the next, and kept where a renewal brings none', async () => {
    await start();
    const leaseId = await member('node', 'node-1');
    const stream = new Stream();
    await stream.renew(leaseId, { inFlight: 3, circuits: [NODE_CIRCUIT] });
    await stream.renew(leaseId, { inFlight: 5 });
    expect(await rig.stats()).toMatchObject({ services: [{ inFlight: 5 }], circuits: [] });
    await stream.renew(leaseId);
    expect(await nodes()).toMatchObject({ inFlight: 5, reporting: 1 });
    await stream.end();
  });

  it('are forgotten with their stream, unless the member is back on another', async () => {
    await start();
    const leaseId = await member('node', 'node-1');
    const [first, second] = [new Stream(), new Stream()];
    await first.renew(leaseId, { inFlight: 1 });
    await second.renew(leaseId, { inFlight: 2 });
    await first.end();
    expect(await nodes()).toMatchObject({ inFlight: 2, reporting: 1 });
    await second.end();
    expect(await nodes()).toMatchObject({ inFlight: 0, reporting: 0 });
  });

  it('are forgotten with their lease', async () => {
    await start();
    const leaseId = await member('node', 'node-1');
    const stream = new Stream();
    await stream.renew(leaseId, { inFlight: 1, circuits: [NODE_CIRCUIT] });
    await rig.deregister({ leaseId });
    await member('node', 'node-1');
    expect(await nodes()).toMatchObject({ inFlight: 0, reporting: 0 });
    expect((await rig.stats()).circuits).toEqual([]);
    await expect(stream.renew(leaseId, { inFlight: 1 })).rejects.toMatchObject({ reason: 'LEASE_NOT_FOUND' });
  });

  it('tell of at most 1,000 circuits, and of sums that fit', async () => {
    await start();
    const stream = new Stream();
    for (let n = 0; n < 20; n++) {
      const circuits = Array.from({ length: 64 }, (_, i) => ({ ...NODE_CIRCUIT, id: `n${i}` }));
      await stream.renew(await member('node', `node-${n}`), { inFlight: 2 ** 32 - 1, circuits });
    }
    expect((await rig.stats()).circuits).toHaveLength(1_000);
    expect(await nodes()).toMatchObject({ inFlight: 2 ** 32 - 1, reporting: 20 });
    await stream.end();
  });

  it('are cut where they tell a long story', async () => {
    await start();
    const stream = new Stream();
    await stream.renew(await member('node', 'node-1'), { circuits: [{ ...NODE_CIRCUIT, lastFailure: 'x'.repeat(10_000) }] });
    expect((await rig.stats()).circuits[0]?.circuit?.lastFailure).toHaveLength(256);
    await stream.end();
  });

  it.each<[string, PartialReport]>([
    ['report.circuits', { circuits: Array(65).fill(NODE_CIRCUIT) }],
    ['report.circuits[1].id', { circuits: [NODE_CIRCUIT, { ...NODE_CIRCUIT, id: '../x' }] }],
    ['report.circuits[0].service', { circuits: [{ ...NODE_CIRCUIT, service: '' }] }],
    ['report.circuits[0].state', { circuits: [{ ...NODE_CIRCUIT, state: CircuitState.CIRCUIT_STATE_UNSPECIFIED }] }],
    ['report.circuits[0].state', { circuits: [{ ...NODE_CIRCUIT, state: 99 as CircuitState }] }],
  ])('are refused with the name of what is wrong: %s', async (field, report) => {
    await start();
    const leaseId = await member('node', 'node-1');
    await expect(new Stream().renew(leaseId, report)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field }],
    });
    expect(await nodes()).toMatchObject({ reporting: 0 });
    expect((await rig.stats()).keepAlives).toBe(0);
  });
});

describe('ListInstances', () => {
  it('filters by service, status and capabilities, and pages by service and id', async () => {
    await start();
    await rig.register(
      { service: 'node', id: 'node-1', capabilities: ['data'] },
      { id: 'b', capabilities: ['x', 'y'] },
      { id: 'a', capabilities: ['x'], status: Status.INSTANCE_STATUS_STARTING },
    );
    const ids = async (request: Parameters<RegistryRig['list']>[0]) => (await rig.list(request)).instances.map(({ id }) => id);
    expect(await ids({})).toEqual(['a', 'b', 'node-1']);
    expect(await ids({ service: 'node' })).toEqual(['node-1']);
    expect(await ids({ service: 'none' })).toEqual([]);
    expect(await ids({ statuses: [UP] })).toEqual(['b', 'node-1']);
    expect(await ids({ statuses: [UP, Status.INSTANCE_STATUS_STARTING], service: 'agent' })).toEqual(['a', 'b']);
    expect(await ids({ capabilities: ['x'] })).toEqual(['a', 'b']);
    expect(await ids({ capabilities: ['y', 'x'] })).toEqual(['b']);
    const first = await rig.list({ pageSize: 2 });
    expect(first.instances.map(({ id }) => id)).toEqual(['a', 'b']);
    const second = await rig.list({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second).toMatchObject({ instances: [{ id: 'node-1' }], nextPageToken: '', revision: first.revision });
  });

  it('says how old its answer is', async () => {
    await start();
    await rig.clock.advance(500);
    expect((await rig.list()).age).toEqual({ seconds: 0n, nanos: 500_000_000 });
  });

  it.each([
    ['service', { service: 'No' }],
    ['statuses[1]', { statuses: [UP, 99 as Status] }],
    ['capabilities[0]', { capabilities: ['No'] }],
    ['page_size', { pageSize: -1 }],
    ['page_token', { pageToken: 'x' }],
  ])('names %s', async (field, request) => {
    await start();
    await expect(rig.list(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });

  it('tells heartbeats and scores by the store where another replica renewed', async () => {
    await start();
    const { leaseId } = await rig.register(...agents('a'));
    await rig.clock.advance(6_000);
    expect((await rig.list()).instances[0]?.score).toBeCloseTo(0.09, 5);
    await rig.store.leases.renew(leaseId);
    await rig.clock.advance(1_000);
    expect((await rig.list()).instances[0]?.score).toBeCloseTo(0.1 * (1 - 1 / 60), 5);
  });
});

describe('GetInstance', () => {
  it('reads one, and names what is wrong', async () => {
    await start();
    await expect(rig.get('agent', 'a')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_INSTANCE' });
    await expect(rig.get('agent', '')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'key.id' }] });
    await expect(rig.get('', 'a')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'key.service' }] });
  });
});

describe('Discover', () => {
  async function ids(times: number, request: Parameters<RegistryRig['discover']>[0] = {}): Promise<string[]> {
    const got: string[] = [];
    for (let i = 0; i < times; i++) got.push((await rig.discover(request)).instance?.id ?? '');
    return got;
  }

  it('takes turns among those that are UP and have all capabilities, agents unless said otherwise', async () => {
    await start();
    const { leaseId } = await rig.register(
      { id: 'a', capabilities: ['x'] },
      { id: 'b', capabilities: ['x', 'y'] },
      { id: 'c', capabilities: ['x'], status: Status.INSTANCE_STATUS_STARTING },
      { service: 'node', id: 'n' },
    );
    expect((await ids(4)).sort()).toEqual(['a', 'a', 'b', 'b']);
    expect(await ids(2, { capabilities: ['y', 'x'] })).toEqual(['b', 'b']);
    expect(await ids(2, { service: 'node' })).toEqual(['n', 'n']);
    await rig.registerUnder(leaseId, { id: 'd', capabilities: ['x'] });
    await rig.registerUnder(leaseId, { service: 'interest', id: 'i', nodeId: 'n', metadata: new Map([['pattern', '>']]) });
    expect((await ids(3)).sort()).toEqual(['a', 'b', 'd']);
  });

  it('with least connections counts what it handed out in the last 10 s', async () => {
    await start();
    await rig.register({ id: 'a' }, { id: 'b' }, { id: 'c' });
    const strategy = Strategy.STRATEGY_LEAST_CONNECTIONS;
    for (let round = 0; round < 5; round++) expect((await ids(3, { strategy })).sort()).toEqual(['a', 'b', 'c']);
    expect((await ids(30, { strategy: Strategy.STRATEGY_RANDOM })).every((id) => 'abc'.includes(id))).toBe(true);
  });

  it('says whether there is none at all, or none that is UP', async () => {
    await start();
    await expect(rig.discover()).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'NO_INSTANCE' });
    await rig.register({ id: 'a', capabilities: ['x'], status: Status.INSTANCE_STATUS_STOPPING });
    await expect(rig.discover({ capabilities: ['x'] })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NO_HEALTHY_INSTANCE',
    });
    await expect(rig.discover({ capabilities: ['z'] })).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'NO_INSTANCE' });
  });

  it.each([
    ['service', { service: 'No' }],
    ['capabilities[0]', { capabilities: [''] }],
    ['strategy', { strategy: 99 as Strategy }],
  ])('names %s', async (field, request) => {
    await start();
    await expect(rig.discover(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });
});

describe('GetStats', () => {
  it('counts', async () => {
    await start();
    watch();
    await rig.register(
      { service: 'node', id: 'n' },
      { id: 'a', capabilities: ['x'] },
      { id: 'b', capabilities: ['x', 'y'], status: Status.INSTANCE_STATUS_STARTING },
    );
    expect(await rig.stats()).toMatchObject({
      instances: 3,
      services: [
        {
          service: 'agent',
          instances: 2,
          statuses: [
            { status: Status.INSTANCE_STATUS_STARTING, instances: 1 },
            { status: UP, instances: 1 },
          ],
        },
        { service: 'node', instances: 1, statuses: [{ status: UP, instances: 1 }] },
      ],
      capabilities: [
        { capability: 'x', up: 1, instances: 2 },
        { capability: 'y', up: 0, instances: 1 },
      ],
      watchers: 1,
      keepAlives: 0,
    });
  });

  it('tells who leads, and how many instances fail their probes', async () => {
    await start();
    const { instances } = await rig.register({ service: 'node', id: 'node-1' }, { service: 'node', id: 'node-2' });
    expect(await rig.stats()).toMatchObject({ leading: false, services: [{ service: 'node', failing: 0 }] });
    rig.isLeading = true;
    const verdict = { failing: true, reason: 'no answer', sinceMs: 0, registryId: 'r' };
    const token = { key: rig.keys.leader('registry'), modRevision: 0n };
    const { incarnation = 0n } = instances[0] ?? {};
    const { signal } = new AbortController();
    await rig.registrar.judge({ service: 'node', id: 'node-1' }, verdict, { incarnation, token, signal });
    await settle();
    expect(await rig.stats()).toMatchObject({ leading: true, services: [{ service: 'node', instances: 2, failing: 1 }] });
  });
});
