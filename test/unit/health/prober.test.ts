import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NODE_SERVICE } from '../../../src/core/instance.js';
import { InstanceStatus as Status } from '../../../src/gen/troupe/v1/instance.js';
import type { Miss, ProbeOutcome } from '../../../src/health/probe-state.js';
import { type NodeChecks, Prober, type Verdicts } from '../../../src/health/prober.js';
import type { Condition } from '../../../src/store/store.js';
import { RegistryRig } from '../registry/registry-rig.js';

/** Answers as it is told to, in the time of the test's clock; passes unless told otherwise. */
class ScriptedChecks implements NodeChecks {
  readonly sent: { readonly address: string; readonly atMs: number }[] = [];
  readonly forgotten: string[] = [];
  readonly answers = new Map<string, Miss | 'stalled'>();
  underWay = 0;
  most = 0;

  constructor(private readonly rig: RegistryRig) {}

  check(address: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeOutcome | undefined> {
    const { clock } = this.rig;
    this.sent.push({ address, atMs: clock.monotonicMs() });
    this.underWay += 1;
    this.most = Math.max(this.most, this.underWay);
    const miss = this.answers.get(address);
    return new Promise((resolve) => {
      const end = (outcome: ProbeOutcome | undefined) => {
        cancel();
        signal.removeEventListener('abort', calledOff);
        this.underWay -= 1;
        resolve(outcome);
      };
      const calledOff = () => end(undefined);
      signal.addEventListener('abort', calledOff, { once: true });
      const afterMs = { no_answer: timeoutMs, stalled: 3 * timeoutMs, unreachable: 0, not_serving: 2, passed: 2 }[
        miss ?? 'passed'
      ];
      const cancel = clock.after(afterMs, () =>
        end(miss === undefined ? { kind: 'passed' } : { kind: 'missed', miss: miss === 'stalled' ? 'no_answer' : miss }),
      );
    });
  }

  forget(address: string): void {
    this.forgotten.push(address);
  }
}

let rig: RegistryRig;
let checks: ScriptedChecks;
let stopping: AbortController;
let running: Promise<void>[];

beforeEach(async () => {
  rig = new RegistryRig();
  await rig.mirror.firstRead;
  checks = new ScriptedChecks(rig);
  stopping = new AbortController();
  running = [];
});
afterEach(async () => {
  stopping.abort();
  await Promise.all(running);
  expect(checks.underWay).toBe(0);
  await rig.stop();
});

/** Makes a registry the leader. */
async function lead(registryId: string): Promise<Condition> {
  const key = rig.keys.leader('registry');
  const { revision } = await rig.store.txn([], [{ kind: 'put', key, value: Buffer.from(registryId), leaseId: 0n }]);
  return { key, modRevision: revision };
}

async function probe(registryId = 'registry-1', verdicts: Verdicts = rig.registrar): Promise<AbortController> {
  const { mirror, clock, random, logger } = rig;
  const nodes = {
    get revision() {
      return mirror.catalog.revision;
    },
    all: () => [...mirror.catalog.ofService(NODE_SERVICE)].map(({ instance }) => instance),
  };
  const term = new AbortController();
  const signal = AbortSignal.any([term.signal, stopping.signal]);
  const deps = { nodes, checks, verdicts, clock, random, logger, registryId };
  running.push(new Prober(deps, { token: await lead(registryId), signal }).run());
  return term;
}

const addressOf = (n: number) => `127.0.0.1:${5_000 + n}`;

function node(n: number, status = Status.INSTANCE_STATUS_UP) {
  return { service: 'node', id: `node-${n}`, status, endpoint: { host: '127.0.0.1', port: 5_000 + n } };
}

/** Under a lease that outlives the test. */
async function register(...numbers: number[]): Promise<bigint> {
  const { leaseId } = await rig.registerRaw({ instances: numbers.map((n) => node(n)), ttl: { seconds: 600n, nanos: 0 } });
  return leaseId;
}

/** As everybody sees it. */
async function verdict(n: number) {
  return (await rig.get('node', `node-${n}`)).instance?.probe;
}

const events = (level: 'warn' | 'info') => rig.logger.at(level);

describe('the prober', () => {
  it('marks a node that is silent, within 4 s, and says what it saw', async () => {
    const leaseId = await register(1);
    const before = (await rig.get('node', 'node-1')).instance;
    await probe();
    await rig.clock.advance(3_000);
    expect(await verdict(1)).toBeUndefined();
    checks.answers.set(addressOf(1), 'no_answer');
    await rig.clock.advance(4_000);
    const after = (await rig.get('node', 'node-1')).instance;
    expect(after?.probe).toEqual({
      failing: true,
      reason: 'no answer to 2 health checks within 1 s',
      since: expect.any(Date),
      registryId: 'registry-1',
    });
    expect(after).toMatchObject({ incarnation: before?.incarnation, status: before?.status });
    expect(rig.mirror.catalog.get({ service: 'node', id: 'node-1' })).toMatchObject({
      leaseId,
      instance: { probe: { failing: true } },
    });
    expect(rig.logger.lines).toContainEqual({
      level: 'warn',
      event: 'node fails its health checks',
      fields: { nodeId: 'node-1', reason: 'no answer to 2 health checks within 1 s' },
    });
  });

  it.each<[Miss, string]>([
    ['unreachable', 'not reached by 2 health checks'],
    ['not_serving', 'answered NOT_SERVING to 2 health checks'],
  ])('marks a node that is %s', async (miss, reason) => {
    await register(1);
    checks.answers.set(addressOf(1), miss);
    await probe();
    await rig.clock.advance(2_500);
    expect(await verdict(1)).toMatchObject({ failing: true, reason });
  });

  it('takes the verdict away when the node passes twice in a row, and not before', async () => {
    await register(1);
    checks.answers.set(addressOf(1), 'no_answer');
    await probe();
    await rig.clock.advance(4_000);
    expect(await verdict(1)).toBeDefined();
    checks.answers.delete(addressOf(1));
    await rig.clock.advance(3_500);
    expect(await verdict(1)).toBeUndefined();
    expect(events('info')).toContain('node passes its health checks again');
  });

  it('writes once', async () => {
    await register(1);
    checks.answers.set(addressOf(1), 'unreachable');
    await probe();
    await rig.clock.advance(3_000);
    const { revision } = (await rig.get('node', 'node-1')).instance ?? {};
    await rig.clock.advance(20_000);
    expect((await rig.get('node', 'node-1')).instance?.revision).toBe(revision);
    expect(events('warn')).toHaveLength(1);
  });

  it('makes nothing of one lost check', async () => {
    await register(1);
    await probe();
    for (let i = 0; i < 5; i++) {
      await rig.clock.advance(2_000);
      checks.answers.set(addressOf(1), 'no_answer');
      await rig.clock.advance(1_000);
      checks.answers.delete(addressOf(1));
    }
    expect(await verdict(1)).toBeUndefined();
  });

  it('makes nothing of checks that were timed by a process that did not run', async () => {
    await register(1);
    checks.answers.set(addressOf(1), 'stalled');
    await probe();
    await rig.clock.advance(20_000);
    expect(checks.sent.length).toBeGreaterThan(3);
    expect(await verdict(1)).toBeUndefined();
  });

  it('asks only those that should serve, and begins with a node when it is UP', async () => {
    const statuses = [Status.INSTANCE_STATUS_STARTING, Status.INSTANCE_STATUS_STOPPING, Status.INSTANCE_STATUS_DOWN];
    const { leaseId } = await rig.registerRaw({
      instances: [node(0, Status.INSTANCE_STATUS_DEGRADED), ...statuses.map((status, i) => node(i + 1, status))],
      ttl: { seconds: 600n, nanos: 0 },
    });
    await probe();
    await rig.clock.advance(3_000);
    expect(new Set(checks.sent.map(({ address }) => address))).toEqual(new Set([addressOf(0)]));
    await rig.update({ key: { service: 'node', id: 'node-1' }, leaseId, status: Status.INSTANCE_STATUS_UP });
    await rig.update({ key: { service: 'node', id: 'node-0' }, leaseId, status: Status.INSTANCE_STATUS_STOPPING });
    await rig.clock.advance(500);
    checks.sent.length = 0;
    await rig.clock.advance(2_000);
    expect(new Set(checks.sent.map(({ address }) => address))).toEqual(new Set([addressOf(1)]));
    expect(checks.forgotten).toEqual([addressOf(0)]);
  });

  it("an owner's update keeps the verdict; a registration takes it away, and it comes back while the node fails", async () => {
    const leaseId = await register(1);
    checks.answers.set(addressOf(1), 'unreachable');
    await probe();
    await rig.clock.advance(3_000);
    await rig.update({ key: { service: 'node', id: 'node-1' }, leaseId, weight: 7 });
    expect((await rig.get('node', 'node-1')).instance).toMatchObject({ weight: 7, probe: { failing: true } });
    await rig.registerUnder(leaseId, node(1));
    expect(await verdict(1)).toBeUndefined();
    await rig.clock.advance(100);
    expect(await verdict(1)).toBeDefined();
  });

  it('begins anew with a new life of a node', async () => {
    await register(1);
    checks.answers.set(addressOf(1), 'unreachable');
    await probe();
    await rig.clock.advance(3_000);
    expect(await verdict(1)).toBeDefined();
    checks.answers.delete(addressOf(1));
    await register(1);
    expect(await verdict(1)).toBeUndefined();
    await rig.clock.advance(10_000);
    expect(await verdict(1)).toBeUndefined();
    expect(events('warn')).toHaveLength(1);
  });

  it('leaves what a leader before found until the node passes', async () => {
    await register(1);
    checks.answers.set(addressOf(1), 'no_answer');
    const first = await probe('registry-1');
    await rig.clock.advance(4_000);
    const found = await verdict(1);
    first.abort();
    await rig.clock.advance(100);
    await probe('registry-2');
    await rig.clock.advance(10_000);
    expect(await verdict(1)).toEqual(found);
    checks.answers.delete(addressOf(1));
    await rig.clock.advance(3_500);
    expect(await verdict(1)).toBeUndefined();
  });

  it('of a leader whose time is over writes nothing', async () => {
    await register(1);
    await probe('registry-1');
    await rig.clock.advance(2_000);
    await lead('registry-2');
    const before = rig.mirror.catalog.revision;
    checks.answers.set(addressOf(1), 'unreachable');
    await rig.clock.advance(10_000);
    expect(await verdict(1)).toBeUndefined();
    expect(rig.mirror.catalog.revision).toBe(before);
    expect(events('warn')).toEqual([]);
  });

  it('tries again where the store did not write, and says so once', async () => {
    await register(1);
    let failures = 3;
    await probe('registry-1', {
      judge: (...given) => {
        failures -= 1;
        return failures >= 0 ? Promise.reject(new Error('no store')) : rig.registrar.judge(...given);
      },
    });
    checks.answers.set(addressOf(1), 'unreachable');
    await rig.clock.advance(5_000);
    expect(await verdict(1)).toBeDefined();
    expect(events('warn')).toEqual(['a verdict could not be written; trying on', 'node fails its health checks']);
  });
});

describe('when more than half of the nodes fail at once', () => {
  it('no new verdict is written, which is said once; those that are there stay, and go when the node passes', async () => {
    await register(1, 2, 3, 4, 5);
    await probe();
    checks.answers.set(addressOf(1), 'no_answer');
    await rig.clock.advance(6_000);
    for (const n of [2, 3, 4]) checks.answers.set(addressOf(n), 'no_answer');
    await rig.clock.advance(20_000);
    expect(await verdict(1)).toBeDefined();
    for (const n of [2, 3, 4, 5]) expect(await verdict(n)).toBeUndefined();
    expect(rig.logger.lines.filter(({ event }) => event.startsWith('too many'))).toEqual([
      expect.objectContaining({ level: 'warn', fields: { probed: 5, missing: expect.any(Number) } }),
    ]);
    checks.answers.delete(addressOf(1));
    await rig.clock.advance(3_500);
    expect(await verdict(1)).toBeUndefined();
    checks.answers.delete(addressOf(2));
    await rig.clock.advance(4_000);
    expect(events('info')).toContain('most nodes pass their health checks again; verdicts go on');
    for (const n of [3, 4]) expect(await verdict(n)).toBeDefined();
  });

  it('not even the first of those that fall silent together is marked', async () => {
    const numbers = Array.from({ length: 60 }, (_, n) => n);
    await register(...numbers);
    await probe();
    await rig.clock.advance(3_000);
    for (const n of numbers) checks.answers.set(addressOf(n), n % 2 === 0 ? 'no_answer' : 'unreachable');
    await rig.clock.advance(10_000);
    for (const n of numbers) expect(await verdict(n)).toBeUndefined();
    expect(events('warn')).toHaveLength(1);
  });
});

describe('with many nodes', () => {
  const many = async (count: number) => {
    for (let from = 0; from < count; from += 100) await register(...Array.from({ length: 100 }, (_, i) => from + i));
  };

  it('checks go out evenly, each node each second up to 200 of them', async () => {
    await many(200);
    await probe();
    await rig.clock.advance(2_000);
    checks.sent.length = 0;
    await rig.clock.advance(5_000);
    expect(checks.sent).toHaveLength(1_000);
    const tenths = new Map<number, number>();
    for (const { atMs } of checks.sent) tenths.set(Math.floor(atMs / 100), (tenths.get(Math.floor(atMs / 100)) ?? 0) + 1);
    expect(Math.max(...tenths.values())).toBeLessThan(50);
  });

  it('they go out less often to each beyond, at most 200 a second together', async () => {
    await many(600);
    await probe();
    await rig.clock.advance(3_000);
    checks.sent.length = 0;
    await rig.clock.advance(6_000);
    expect(checks.sent.length).toBeGreaterThan(1_100);
    expect(checks.sent.length).toBeLessThanOrEqual(1_250);
  });

  it('no more than 200 are under way, though nobody answers', async () => {
    await many(300);
    for (let n = 0; n < 300; n++) checks.answers.set(addressOf(n), 'stalled');
    await probe();
    await rig.clock.advance(5_000);
    expect(checks.most).toBe(200);
  });
});

describe('at the end of the term', () => {
  it('checks under way are called off and nothing goes on', async () => {
    await register(1, 2, 3);
    for (const n of [1, 2, 3]) checks.answers.set(addressOf(n), 'no_answer');
    const before = rig.clock.pending;
    await probe();
    await rig.clock.advance(1_500);
    expect(checks.underWay).toBeGreaterThan(0);
    stopping.abort();
    await Promise.all(running);
    expect(checks.underWay).toBe(0);
    expect(rig.clock.pending).toBeLessThanOrEqual(before);
    const { length } = checks.sent;
    await rig.clock.advance(5_000);
    expect(checks.sent).toHaveLength(length);
  });
});
