import { afterEach, describe, expect, it } from '@jest/globals';
import { isTroupeError, TroupeError } from '../../../src/core/errors.js';
import { Membership } from '../../../src/discovery/membership.js';
import { RegistrySession } from '../../../src/discovery/registry-session.js';
import type { RegisterRequest } from '../../../src/gen/troupe/v1/registry.js';
import { Interest, LINGER_MS, MAX_PATTERNS, WANT_TIMEOUT_MS } from '../../../src/messaging/interest.js';
import { eventually } from '../../support/eventually.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { nodeOf } from '../discovery/instances.js';
import { ServedRegistry } from '../discovery/served-registry.js';

const toStop: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

/** A process with a real registry, and what it wants. */
async function member({ joins = true } = {}) {
  const registry = await new ServedRegistry().start();
  toStop.push(() => registry.stop());
  const { clock } = registry.rig;
  const random = seededRandom(testSeed);
  const session = new RegistrySession([registry.address]);
  const self = nodeOf('node-1', { zone: 'z1', endpoint: { host: '127.0.0.1', port: 7_001 } });
  const membership = new Membership({ registry: session, clock, random, logger: recordingLogger() }, { ttlMs: 10_000, self });
  const controller = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const join = async () => {
    running = membership.run(controller.signal);
    await membership.joined;
  };
  const interest = new Interest({ membership, clock, random });
  toStop.push(async () => {
    controller.abort();
    await interest.close();
    await running;
    session.close();
  });
  if (joins) await join();
  const { register } = registry.rig.service;
  const registrations: RegisterRequest[] = [];
  registry.overrides = {
    register(request, call) {
      registrations.push(request);
      return register(request, call);
    },
  };
  const registered = async () => {
    const { instances } = await registry.rig.list({ service: 'interest', pageSize: 1_000 });
    return instances.map(({ metadata }) => metadata.get('pattern')).sort();
  };
  return { registry, clock, membership, interest, join, registrations, registered };
}

function leaseOf({ lease }: Membership): bigint {
  return lease.kind === 'held' ? lease.leaseId : 0n;
}

const pending = (interest: Interest) => (Reflect.get(interest, 'wishes') as Map<string, unknown>).size;

/** Wants it again where the registry was away for too long, since its clock goes faster than connections come back. */
async function untilTaken(interest: Interest, pattern: string): Promise<void> {
  for (;;) {
    try {
      return await interest.want(pattern);
    } catch (error) {
      if (!isTroupeError(error) || error.code !== 'UNAVAILABLE') throw error;
    }
  }
}

describe('Interest', () => {
  it('registers what is wanted under the lease of the process', async () => {
    const { registry, interest, membership } = await member();
    await interest.want('orders.*');
    const { instances } = await registry.rig.list({ service: 'interest' });
    expect(instances).toMatchObject([
      { id: expect.stringMatching(/^interest-/), nodeId: 'node-1', zone: 'z1', endpoint: { host: '127.0.0.1', port: 7_001 } },
    ]);
    expect(Object.fromEntries(instances[0]?.metadata ?? [])).toEqual({ pattern: 'orders.*' });
    await membership.release();
    await eventually(async () => expect((await registry.rig.list({})).instances).toEqual([]));
  });

  it('registers a pattern once, however many want it, and deregisters it when the last has gone', async () => {
    const { interest, clock, registered, registrations } = await member();
    await Promise.all([interest.want('a'), interest.want('a')]);
    await interest.want('a');
    expect(registrations).toHaveLength(1);
    interest.unwant('a');
    interest.unwant('a');
    await clock.advance(LINGER_MS * 2);
    expect(await registered()).toEqual(['a']);
    interest.unwant('a');
    await clock.advance(LINGER_MS - 1);
    expect(await registered()).toEqual(['a']);
    await clock.advance(1);
    await eventually(async () => expect(await registered()).toEqual([]));
    interest.unwant('a');
    interest.unwant('never wanted');
    expect(pending(interest)).toBe(0);
  });

  it('costs nothing for a subscriber that comes back soon', async () => {
    const { interest, clock, registered, registrations } = await member();
    await interest.want('a');
    for (let times = 0; times < 5; times++) {
      interest.unwant('a');
      await clock.advance(LINGER_MS - 1);
      await interest.want('a');
    }
    await clock.advance(LINGER_MS * 2);
    expect(registrations).toHaveLength(1);
    expect(await registered()).toEqual(['a']);
  });

  it('is wanted anew while it is being deregistered', async () => {
    const { interest, clock, registered, registrations } = await member();
    await interest.want('a');
    interest.unwant('a');
    await clock.advance(LINGER_MS);
    await interest.want('a');
    await interest.want('b');
    await eventually(async () => expect(await registered()).toEqual(['a', 'b']));
    expect(new Set(registrations.flatMap(({ instances }) => instances.map(({ id }) => id))).size).toBe(3);
  });

  it('registers many in batches of at most 100, in the order of being wanted', async () => {
    const { interest, clock, registered, registrations } = await member();
    const patterns = Array.from({ length: 250 }, (_, index) => `topic.${String(index).padStart(3, '0')}`);
    await Promise.all(patterns.map((pattern) => interest.want(pattern)));
    expect(registrations.map(({ instances }) => instances.length)).toEqual([100, 100, 50]);
    expect(await registered()).toEqual(patterns);
    for (const pattern of patterns) interest.unwant(pattern);
    await clock.advance(LINGER_MS);
    await eventually(async () => expect(await registered()).toEqual([]));
  });

  it('refuses what is no pattern, and more patterns than there may be', async () => {
    const { interest, clock } = await member({ joins: false });
    const timers = clock.pending;
    await expect(interest.want('a..b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'pattern' }] });
    const wanted = Promise.allSettled(Array.from({ length: MAX_PATTERNS }, (_, index) => interest.want(`t.${index}`)));
    await expect(interest.want('one.more')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_PATTERNS' });
    await interest.close();
    expect((await wanted).every(({ status }) => status === 'rejected')).toBe(true);
    expect(clock.pending).toBe(timers);
  });

  it('waits for the lease', async () => {
    const { interest, join, clock, registered } = await member({ joins: false });
    const wanted = interest.want('a');
    await clock.advance(1_000);
    expect(await registered()).toEqual([]);
    await join();
    await clock.advance(500);
    await wanted;
    expect(await registered()).toEqual(['a']);
  });

  it('gives up after 3 s without a lease, and keeps nothing', async () => {
    const { interest, join, clock, registered } = await member({ joins: false });
    const timers = clock.pending;
    const wanted = interest.want('a').catch((error: unknown) => error);
    await clock.advance(WANT_TIMEOUT_MS);
    expect(await wanted).toMatchObject({ code: 'UNAVAILABLE', reason: 'NOT_JOINED' });
    await clock.advance(1_000);
    expect(clock.pending).toBe(timers);
    expect(pending(interest)).toBe(0);
    await join();
    await interest.want('b');
    expect(await registered()).toEqual(['b']);
  });

  it('waits while the registry is away, and says so in the end', async () => {
    const { registry, interest, registered } = await member();
    await registry.goAway();
    const lost = interest.want('lost').catch((error: unknown) => error);
    await registry.pass(WANT_TIMEOUT_MS);
    expect(await lost).toMatchObject({ code: 'UNAVAILABLE', reason: 'REGISTRY_UNAVAILABLE', retryAfterMs: 1_000 });
    const wanted = untilTaken(interest, 'a').then(() => 'registered');
    await registry.start();
    await registry.passUntil(async () => expect(await registered()).toEqual(['a']));
    expect(await wanted).toBe('registered');
  });

  it('ends the wait of whoever aborts, and of nobody else', async () => {
    const { interest, join, clock, registered } = await member({ joins: false });
    const controller = new AbortController();
    const aborted = interest.want('a', controller.signal).catch((error: unknown) => error);
    const alone = interest.want('b', controller.signal).catch((error: unknown) => error);
    const other = interest.want('a');
    controller.abort(new TroupeError('CANCELLED', 'GONE', 'the subscriber went'));
    expect([await aborted, await alone]).toMatchObject([{ reason: 'GONE' }, { reason: 'GONE' }]);
    await expect(interest.want('a', controller.signal)).rejects.toMatchObject({ reason: 'GONE' });
    await join();
    await clock.advance(500);
    await other;
    expect(await registered()).toEqual(['a']);
    interest.unwant('a');
    await clock.advance(LINGER_MS);
    await eventually(async () => expect(await registered()).toEqual([]));
  });

  it('takes back what was registered when nobody waited any more', async () => {
    const { registry, interest, clock, registered } = await member();
    const controller = new AbortController();
    const { register } = registry.rig.service;
    registry.overrides = {
      register(request, call) {
        controller.abort();
        return register(request, call);
      },
    };
    await expect(interest.want('a', controller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(async () => expect(await registered()).toEqual(['a']));
    await eventually(async () => {
      await clock.advance(LINGER_MS);
      expect(await registered()).toEqual([]);
    });
  });

  it('leaves nothing behind of a registration that was not answered', async () => {
    const { registry, interest, registered } = await member();
    const { register } = registry.rig.service;
    let left: unknown;
    registry.overrides = {
      async register(request, call) {
        await register(request, call);
        left = await registered();
        registry.overrides = {};
        throw new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'no answer');
      },
    };
    const wanted = interest.want('a');
    await registry.pass(500);
    await wanted;
    expect(left).toEqual(['a']);
    await registry.pass(4_000);
    await eventually(async () => expect(await registered()).toEqual(['a']));
  });

  it('is registered again when the lease was lost, also what was just about to be', async () => {
    const { registry, interest, membership, registered } = await member();
    await interest.want('before');
    const { register } = registry.rig.service;
    const leaseId = leaseOf(membership);
    registry.overrides = {
      async register(request, call) {
        registry.overrides = {};
        const response = await register(request, call);
        await registry.rig.store.leases.revoke(leaseId);
        // Answered only when the process has its next lease, of which this registration knows nothing.
        await registry.passUntil(() => expect([0n, leaseId]).not.toContain(leaseOf(membership)));
        return response;
      },
    };
    const wanted = untilTaken(interest, 'during');
    await registry.passUntil(async () => expect(await registered()).toEqual(['before', 'during']));
    await wanted;
  });

  it('ends in the middle of things: who waits is told, no timer stays, nothing is wanted any more', async () => {
    const { registry, interest, clock, registered } = await member();
    await interest.want('kept');
    await interest.want('lingers');
    const timers = clock.pending;
    interest.unwant('lingers');
    registry.overrides = { register: (_request, call) => new Promise((_resolve, reject) => call.onCancel(reject)) };
    const wanted = interest.want('a').catch((error: unknown) => error);
    await eventually(() => expect((Reflect.get(interest, 'missing') as Set<unknown>).size).toBe(0));
    await interest.close();
    expect(await wanted).toMatchObject({ code: 'UNAVAILABLE', reason: 'NODE_ENDING' });
    expect(clock.pending).toBe(timers);
    interest.unwant('kept');
    expect(clock.pending).toBe(timers);
    await expect(interest.want('b')).rejects.toMatchObject({ reason: 'NODE_ENDING' });
    expect(await registered()).toEqual(['kept', 'lingers']);
  });
});
