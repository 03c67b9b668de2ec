import { afterEach, describe, expect, it } from '@jest/globals';
import type { InstanceKey, InstanceStatus } from '../../../src/core/instance.js';
import { randomInt } from '../../../src/core/random.js';
import { Membership } from '../../../src/discovery/membership.js';
import { settle } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { type Fate, FaultyRegistry, type WriteName } from './faulty-registry.js';
import { agentOf, nodeOf } from './instances.js';

const TTL_MS = 10_000;
/** Longer than anything that was sent can be on its way, and than what follows from it. */
const CALM_MS = 40_000;
const toStop: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

async function memberOf(status: InstanceStatus = 'up', onTaken: (key: InstanceKey) => void = () => undefined) {
  const registry = new FaultyRegistry();
  toStop.push(() => registry.stop());
  const { clock } = registry.rig;
  const logger = recordingLogger();
  const membership = new Membership(
    { registry: registry.session, clock, random: seededRandom(testSeed), logger },
    { ttlMs: TTL_MS, self: nodeOf('node-1', { status }), onTaken },
  );
  const controller = new AbortController();
  const running = membership.run(controller.signal);
  toStop.push(async () => {
    controller.abort();
    await running;
  });
  await registry.rig.mirror.firstRead;
  await membership.joined;
  /** What becomes of the next writes of this kind, in turn. */
  const next = (name: WriteName, ...fates: Fate[]) => {
    registry.fate = (sent) => (sent === name ? fates.shift() : undefined) ?? {};
  };
  const leaseId = () => (membership.lease.kind === 'held' ? membership.lease.leaseId : 0n);
  const remove = (...ids: string[]) => membership.remove(ids.map((id) => ({ service: 'agent', id }))).catch(() => undefined);
  const put = (...ids: string[]) =>
    membership.putAll(ids.map((id) => agentOf(id, ['x']))).then(
      () => true,
      () => false,
    );
  const agents = async () => (await registry.listed()).flatMap((line) => /agent\/(\S+)/.exec(line)?.[1] ?? []);
  return { registry, clock, membership, logger, next, leaseId, put, remove, agents };
}

describe('Membership, over a network that loses, delays and overtakes', () => {
  it('keeps what was put while a removal was on its way', async () => {
    const { clock, put, remove, next, agents } = await memberOf();
    await put('a');
    next('deregister', { arrivesAfterMs: 500 });
    const removed = remove('a');
    const again = put('a');
    await clock.advance(1_000);
    await removed;
    expect(await again).toBe(true);
    await clock.advance(CALM_MS);
    expect(await agents()).toEqual(['a']);
  });

  it('keeps what was put again while what an unanswered try left is taken back', async () => {
    const { clock, put, next, agents } = await memberOf();
    next('register', { answerLost: true });
    expect(await put('a')).toBe(false);
    next('deregister', { arrivesAfterMs: 500 });
    await clock.advance(3_600);
    const again = put('a');
    await clock.advance(1_000);
    expect(await again).toBe(true);
    await clock.advance(CALM_MS);
    expect(await agents()).toEqual(['a']);
  });

  it('does not keep what was removed while it was being put', async () => {
    const { clock, put, remove, next, agents, leaseId, registry } = await memberOf();
    next('register', { arrivesAfterMs: 500 });
    const putting = put('a');
    await settle();
    const removed = remove('a');
    await clock.advance(1_000);
    await removed;
    expect(await putting).toBe(false);
    await clock.advance(CALM_MS);
    expect(await agents()).toEqual([]);
    await registry.rig.store.leases.revoke(leaseId());
    await clock.advance(CALM_MS);
    expect(await agents()).toEqual([]);
  });

  it('puts back what a removal takes that comes after it was given up', async () => {
    const { clock, put, remove, next, agents } = await memberOf();
    await put('a');
    next('deregister', { arrivesAfterMs: 8_000 });
    const removed = remove('a');
    await clock.advance(5_000);
    await removed;
    expect(await put('a')).toBe(true);
    await clock.advance(CALM_MS);
    expect(await agents()).toEqual(['a']);
  });

  it('takes back what comes to be registered after that was given up', async () => {
    const { clock, put, next, agents } = await memberOf();
    next('register', { arrivesAfterMs: 9_000 });
    const putting = put('a');
    await clock.advance(6_000);
    expect(await putting).toBe(false);
    await clock.advance(CALM_MS);
    expect(await agents()).toEqual([]);
  });

  it('tells the last status, whichever is on its way longer, and never one that may not follow', async () => {
    const { clock, membership, registry, next, leaseId } = await memberOf('starting');
    next('updateInstance', { arrivesAfterMs: 500 });
    const up = membership.setStatus('up');
    const stopping = membership.setStatus('stopping');
    await clock.advance(1_000);
    await Promise.all([up, stopping]);
    expect(await registry.listed()).toEqual(['node/node-1 4']);
    await membership.setStatus('up');
    expect(membership.self.status).toBe('stopping');
    await registry.rig.store.leases.revoke(leaseId());
    await clock.advance(CALM_MS);
    expect(await registry.listed()).toEqual(['node/node-1 4']);
  });

  it('hears of a write that its lease is gone, and does not wait for the next renewal', async () => {
    const { clock, membership, registry, put, leaseId, agents } = await memberOf();
    await put('a');
    const before = leaseId();
    await registry.rig.store.leases.revoke(before);
    expect(await put('b')).toBe(false);
    await clock.advance(1);
    expect(membership.isFenced).toBe(false);
    expect(leaseId()).not.toBe(before);
    expect(membership.leasesLost).toBe(1);
    expect(await agents()).toEqual(['a']);
  });

  it('stays fenced until all is registered again, and renews meanwhile', async () => {
    const { clock, membership, registry, put, leaseId, agents } = await memberOf();
    const ids = Array.from({ length: 250 }, (_, index) => `a${index}`);
    await Promise.all(ids.map((id) => put(id)));
    await registry.rig.store.leases.revoke(leaseId());
    // Those of agents, which come under the lease that the process has got.
    registry.fate = (_, request) => ('leaseId' in (request as object) ? { answersAfterMs: 4_500 } : {});
    await clock.advance(3_500);
    expect((await agents()).length).toBe(100);
    expect(membership.lease.kind).toBe('joining');
    expect(membership.isFenced).toBe(true);
    expect(await put('late')).toBe(false);
    // Longer than a lease lasts.
    await clock.advance(14_000);
    expect(membership.isFenced).toBe(false);
    expect((await agents()).length).toBe(250);
    expect(membership.leasesLost).toBe(1);
  });

  it('puts what comes together in few calls, and renews with none', async () => {
    const { clock, registry, put, remove } = await memberOf();
    const ids = Array.from({ length: 250 }, (_, index) => `a${index}`);
    expect(await Promise.all(ids.map((id) => put(id)))).toEqual(ids.map(() => true));
    await Promise.all(ids.map((id) => remove(id)));
    await clock.advance(60_000);
    expect(registry.sent).toEqual([...Array(1 + 3).fill('register'), ...Array(3).fill('deregister')]);
  });

  it.each(Array.from({ length: 30 }, (_, index) => (testSeed + index) % 2 ** 32))(
    'has registered in the end what it said, and nothing else (seed %i)',
    async (seed) => {
      /** What this process was told is registered, or has not heard of yet, and has not removed since. */
      const mine = new Map<string, object>();
      const { clock, membership, registry, put, remove, leaseId, agents } = await memberOf('starting', ({ id }) =>
        mine.delete(id),
      );
      const random = seededRandom(seed);
      const below = (bound: number) => randomInt(random, bound);
      registry.fate = () => {
        const sort = below(10);
        if (sort < 4) return { arrivesAfterMs: below(300), answersAfterMs: below(300) };
        if (sort === 4) return { lost: true, arrivesAfterMs: below(200) };
        if (sort === 5) return { answerLost: true, arrivesAfterMs: below(2_000) };
        if (sort === 6) return { arrivesAfterMs: below(14_000) };
        return {};
      };
      const pending: Promise<unknown>[] = [];
      const statuses: InstanceStatus[] = ['up', 'degraded', 'up', 'stopping'];
      for (let step = 0; step < 120; step++) {
        const id = `a${below(12)}`;
        const sort = below(20);
        if (sort < 9) {
          const ids = [...new Set(below(3) === 0 ? [id, `a${below(12)}`] : [id])].filter((each) => !mine.has(each));
          if (ids.length === 0) continue;
          const token = {};
          for (const each of ids) mine.set(each, token);
          pending.push(
            put(...ids).then((isPut) => {
              if (isPut) return;
              for (const each of ids) if (mine.get(each) === token) mine.delete(each);
            }),
          );
        } else if (sort < 16) {
          mine.delete(id);
          pending.push(remove(id));
        } else if (sort === 16) {
          await registry.rig.store.leases.revoke(leaseId()).catch(() => undefined);
        } else if (sort === 17) {
          registry.isSilent = !registry.isSilent;
        } else if (sort === 18 && below(3) === 0) {
          const status = statuses.shift();
          if (status !== undefined) pending.push(membership.setStatus(status));
        } else {
          await registry.rig.register({ service: 'agent', id, nodeId: 'node-2' }).catch(() => undefined);
        }
        await clock.advance(below(4) === 0 ? below(3_000) : below(100));
      }
      registry.fate = () => ({});
      registry.isSilent = false;
      await clock.advance(CALM_MS);
      await Promise.all(pending);
      expect(membership.isFenced).toBe(false);
      expect((await agents()).sort()).toEqual([...mine.keys()].sort());
      expect(await registry.listed()).toContain(`node/node-1 ${statusNumber(membership.self.status)}`);
    },
  );
});

function statusNumber(status: InstanceStatus): number {
  return { starting: 1, up: 2, degraded: 3, stopping: 4, down: 5 }[status];
}
