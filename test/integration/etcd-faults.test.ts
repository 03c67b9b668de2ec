import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { isTroupeError } from '../../src/core/errors.js';
import type { EtcdOptions } from '../../src/store/etcd-connection.js';
import type { EtcdStore } from '../../src/store/etcd-store.js';
import type { Store, Write } from '../../src/store/store.js';
import { startEtcd, type TestEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { client, launch, startRole } from '../support/roles.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { keyOf, WatchRecorder } from '../support/watch-recorder.js';

const PREFIX = '/faults/';
const UNAVAILABLE = { code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 1_000 };

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options?: Parameters<typeof startEtcd>[0]): Promise<TestEtcd> {
  const etcd = await startEtcd(options);
  cleanups.push(() => etcd.stop());
  return etcd;
}

function open(etcd: TestEtcd, options: Partial<EtcdOptions> = {}): EtcdStore {
  const store = etcd.open(options);
  cleanups.push(() => store.close());
  return store;
}

function follow(store: Store, afterRevision: bigint): WatchRecorder {
  const recorder = new WatchRecorder(store, PREFIX, afterRevision);
  cleanups.push(() => recorder.stop());
  return recorder;
}

async function proxyOf(etcd: TestEtcd): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(etcd.port);
  cleanups.push(() => proxy.stop());
  return proxy;
}

function put(key: string, value = 'x', leaseId = 0n): Write {
  return { kind: 'put', key: PREFIX + key, value: Buffer.from(value), leaseId };
}

async function write(store: Store, ...writes: readonly Write[]): Promise<bigint> {
  return (await store.txn([], writes)).revision;
}

/** Puts `count` keys, 16 at a time, each until it is done. */
async function writeMany(store: Store, count: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) {
      await eventually(() => write(store, put(`k/${i}`)), { timeoutMs: 20_000 });
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

/** Every revision below the prefix with the keys that it changed. */
function history(recorder: WatchRecorder): [bigint, string[]][] {
  return recorder.groups.map(({ revision, changes }) => [revision, changes.map(keyOf)]);
}

/** What happened, as a watch tells that nothing disturbs. */
async function trueHistory(etcd: TestEtcd, afterRevision: bigint): Promise<[bigint, string[]][]> {
  const store = open(etcd);
  const last = await write(store, put('end'));
  const recorder = follow(store, afterRevision);
  await eventually(() => expect(recorder.groups.at(-1)?.revision).toBe(last), { timeoutMs: 10_000 });
  return history(recorder);
}

async function timed(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work.catch(() => undefined);
  return performance.now() - startMs;
}

describe('etcd killed and restarted', () => {
  it('gives a watch every one of 4,000 writes that go on meanwhile, in order and once', async () => {
    const etcd = await start();
    const store = open(etcd);
    const { revision } = await store.list(PREFIX);
    const recorder = follow(store, revision);
    const writing = writeMany(store, 4_000);
    for (const seen of [500, 2_000]) {
      await eventually(() => expect(recorder.changes.length).toBeGreaterThan(seen), { timeoutMs: 30_000 });
      await etcd.kill();
      await etcd.restart();
    }
    await writing;
    const expected = await trueHistory(etcd, revision);
    await eventually(() => expect(recorder.groups).toHaveLength(expected.length), { timeoutMs: 10_000 });
    expect(history(recorder)).toEqual(expected);
    expect(new Set(recorder.changes.map(keyOf)).size).toBe(4_001);
    expect(recorder.error).toBeUndefined();
  }, 90_000);

  it('gives a watch that is cut while it catches up on 4,000 writes every one of them, in order and once', async () => {
    const etcd = await start();
    const proxy = await proxyOf(etcd);
    const direct = open(etcd);
    const { revision } = await direct.list(PREFIX);
    await writeMany(direct, 4_000);
    const expected = await trueHistory(etcd, revision);
    const recorder = follow(open(etcd, { endpoints: [proxy.endpoint] }), revision);
    for (const seen of [0, 1_000, 2_000, 3_000]) {
      await eventually(() => expect(recorder.groups.length).toBeGreaterThan(seen), { timeoutMs: 10_000 });
      proxy.cut();
    }
    await eventually(() => expect(recorder.groups).toHaveLength(expected.length), { timeoutMs: 10_000 });
    expect(history(recorder)).toEqual(expected);
  }, 60_000);

  it('renews a lease that etcd still holds, and has kept its keys', async () => {
    const etcd = await start();
    const store = open(etcd);
    const { leaseId, ttlSeconds } = await store.leases.grant(30);
    await write(store, put('leased', 'x', leaseId));
    await store.leases.renew(leaseId);
    await etcd.kill();
    await expect(store.leases.renew(leaseId)).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.get(`${PREFIX}leased`)).rejects.toMatchObject(UNAVAILABLE);
    await etcd.restart();
    await expect(eventually(() => store.leases.renew(leaseId))).resolves.toBe(ttlSeconds);
    await expect(store.get(`${PREFIX}leased`)).resolves.toMatchObject({ leaseId });
  }, 60_000);
});

describe('etcd frozen', () => {
  it('fails calls within their timeout, silences the watch, and goes on when it thaws', async () => {
    const etcd = await start();
    const store = open(etcd, { requestTimeoutMs: 1_000 });
    const { leaseId } = await store.leases.grant(60);
    const revision = await write(store, put('before', 'x', leaseId));
    const recorder = follow(store, revision);
    await store.leases.renew(leaseId);
    await eventually(() => expect(recorder.alives).toBeGreaterThan(0));

    await etcd.pause();
    const pausedAtMs = performance.now();
    const calls = () => [store.get(`${PREFIX}before`), store.list(PREFIX), write(store, put('no')), store.leases.renew(leaseId)];
    const tookMs = await Promise.all(calls().map(timed));
    expect(Math.max(...tookMs)).toBeLessThan(2_000);
    for (const call of calls()) await expect(call).rejects.toMatchObject(UNAVAILABLE);
    // Longer than it takes the watch to notice.
    await eventually(() => expect(performance.now() - pausedAtMs).toBeGreaterThan(5_000), { timeoutMs: 10_000 });
    expect(recorder.aliveAtMs).toBeLessThan(pausedAtMs + 500);
    expect(recorder.error).toBeUndefined();

    await etcd.resume();
    const resumedAtMs = performance.now();
    await eventually(() => expect(recorder.aliveAtMs).toBeGreaterThan(resumedAtMs), { timeoutMs: 10_000 });
    await eventually(() => write(store, put('after')), { timeoutMs: 10_000 });
    await eventually(() => expect(recorder.changes.map(keyOf)).toContain(`${PREFIX}after`), { timeoutMs: 5_000 });
    await expect(eventually(() => store.leases.renew(leaseId))).resolves.toBe(60);
  }, 60_000);

  it('goes on over another endpoint when one goes dead without a word', async () => {
    const etcd = await start();
    const [first, second] = [await proxyOf(etcd), await proxyOf(etcd)];
    const store = open(etcd, { endpoints: [first.endpoint, second.endpoint], requestTimeoutMs: 2_000 });
    const recorder = follow(store, (await store.list(PREFIX)).revision);
    const { leaseId } = await store.leases.grant(60);
    await store.leases.renew(leaseId);
    await eventually(() => expect(recorder.alives).toBeGreaterThan(0));
    first.freeze();
    // A read is repeated on the other endpoint within its own timeout.
    await expect(store.get(`${PREFIX}nothing`)).resolves.toBeUndefined();
    await write(store, put('after'));
    await eventually(() => expect(recorder.changes).toHaveLength(1), { timeoutMs: 10_000 });
    await expect(eventually(() => store.leases.renew(leaseId), { timeoutMs: 5_000 })).resolves.toBe(60);
  }, 60_000);

  it('reaches etcd soon after a network that swallowed its connection attempts is whole', async () => {
    const etcd = await start();
    const proxy = await proxyOf(etcd);
    proxy.freeze();
    const store = open(etcd, { endpoints: [proxy.endpoint], requestTimeoutMs: 500, dialTimeoutMs: 500 });
    await expect(store.get(`${PREFIX}nothing`)).rejects.toMatchObject(UNAVAILABLE);
    proxy.accept();
    await expect(eventually(() => store.get(`${PREFIX}nothing`), { timeoutMs: 3_000 })).resolves.toBeUndefined();
  }, 30_000);
});

describe('etcd compacted', () => {
  it('tells a watch that was cut off, and missed something, to list again', async () => {
    const etcd = await start();
    const proxy = await proxyOf(etcd);
    const [direct, cut] = [open(etcd), open(etcd, { endpoints: [proxy.endpoint] })];
    const recorder = follow(cut, await write(direct, put('a')));
    await eventually(() => expect(recorder.alives).toBeGreaterThan(0));
    proxy.refuse();
    await write(direct, put('a'));
    await etcd.compact(await write(direct, put('a')));
    expect(recorder.ended).toBe(false);
    proxy.accept();
    await eventually(() => expect(recorder.ended).toBe(true));
    expect(recorder.error).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
    expect(recorder.changes).toEqual([]);
  }, 30_000);

  it('leaves a watch alone that was cut off and missed nothing', async () => {
    const etcd = await start();
    const proxy = await proxyOf(etcd);
    const [direct, cut] = [open(etcd), open(etcd, { endpoints: [proxy.endpoint] })];
    const revision = await write(direct, put('a'));
    const recorder = follow(cut, revision);
    await eventually(() => expect(recorder.alives).toBeGreaterThan(0));
    proxy.refuse();
    await etcd.compact(revision);
    proxy.accept();
    await write(direct, put('b'));
    await eventually(() => expect(recorder.changes.map(keyOf)).toEqual([`${PREFIX}b`]));
  }, 30_000);
});

describe('leases', () => {
  it('says at the next renewal that a lease was lost, and renews the others', async () => {
    const etcd = await start();
    const [store, other] = [open(etcd), open(etcd)];
    const [lost, kept, expired] = [await store.leases.grant(30), await store.leases.grant(30), await store.leases.grant(1)];
    await Promise.all([lost, kept, expired].map(({ leaseId }) => store.leases.renew(leaseId)));
    await other.leases.revoke(lost.leaseId);
    const gone = { code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND' };
    await expect(store.leases.renew(lost.leaseId)).rejects.toMatchObject(gone);
    await expect(store.leases.renew(kept.leaseId)).resolves.toBe(30);
    await eventually(async () => expect(await other.leases.timeToLive(expired.leaseId)).toBeUndefined(), { timeoutMs: 10_000 });
    await expect(store.leases.renew(expired.leaseId)).rejects.toMatchObject(gone);
  }, 30_000);

  it('fails every renewal that waits when the connection is cut, and renews again at once', async () => {
    const etcd = await start();
    const proxy = await proxyOf(etcd);
    const store = open(etcd, { endpoints: [proxy.endpoint] });
    const { leaseId } = await store.leases.grant(30);
    await store.leases.renew(leaseId);
    await etcd.pause();
    const waiting = Promise.allSettled(Array.from({ length: 10 }, () => store.leases.renew(leaseId)));
    await eventually(() => expect(proxy.connections).toBeGreaterThan(0));
    proxy.cut();
    for (const result of await waiting) {
      expect(result.status === 'rejected' && isTroupeError(result.reason, 'STORE_UNAVAILABLE')).toBe(true);
    }
    await etcd.resume();
    await expect(eventually(() => store.leases.renew(leaseId))).resolves.toBe(30);
  }, 30_000);

  it('does not give an answer to whom it was not meant for', async () => {
    const etcd = await start();
    const store = open(etcd);
    const { leaseId } = await store.leases.grant(30);
    await store.leases.renew(leaseId);
    await etcd.pause();
    const controller = new AbortController();
    const left = store.leases.renew(leaseId, controller.signal);
    const stayed = store.leases.renew(leaseId);
    controller.abort();
    await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
    await etcd.resume();
    await expect(stayed).resolves.toBe(30);
  }, 30_000);
});

describe('etcd full', () => {
  it('refuses puts and leases, renews and deletes, and takes puts again once space was made', async () => {
    const etcd = await start({ quotaBytes: 4 * 1024 * 1024 });
    const store = open(etcd);
    const { leaseId } = await store.leases.grant(30);
    const full = { code: 'RESOURCE_EXHAUSTED', reason: 'STORE_FULL' };
    const fill = async () => {
      for (let i = 0; i < 100; i++) await write(store, put(`big/${i}`, 'x'.repeat(200_000)));
    };
    await expect(fill()).rejects.toMatchObject(full);
    await expect(write(store, put('a'))).rejects.toMatchObject(full);
    await expect(store.leases.grant(30)).rejects.toMatchObject(full);
    await expect(store.leases.renew(leaseId)).resolves.toBe(30);
    const { entries } = await store.list(PREFIX);
    const revision = await write(store, ...entries.map(({ key }): Write => ({ kind: 'delete', key })));
    await etcd.compact(revision);
    await etcd.makeSpace();
    await eventually(() => write(store, put('a')));
    await expect(store.leases.grant(30)).resolves.toMatchObject({ ttlSeconds: 30 });
  }, 60_000);
});

describe('no etcd at all', () => {
  it('fails every call at once where nothing listens, and a watch waits until it is there', async () => {
    const etcd = await start();
    await etcd.kill();
    const store = open(etcd);
    const recorder = follow(store, 0n);
    const calls = [store.get('/a'), store.list('/a'), write(store, put('a')), store.leases.grant(5), store.leases.renew(1n)];
    for (const call of calls) await expect(call).rejects.toMatchObject(UNAVAILABLE);
    expect(recorder.ended).toBe(false);
    await etcd.restart();
    await eventually(() => write(store, put('a')));
    await eventually(() => expect(recorder.changes).toHaveLength(1));
  }, 60_000);

  it('uses the endpoint that is there when another is not, for writes too', async () => {
    const [gone, etcd] = [await start(), await start()];
    await gone.kill();
    const store = open(etcd, { endpoints: [gone.endpoint, etcd.endpoint] });
    await expect(write(store, put('a'))).resolves.toBeGreaterThan(0n);
    await expect(store.get(`${PREFIX}a`)).resolves.toBeDefined();
    const recorder = follow(store, 0n);
    await eventually(() => expect(recorder.changes).toHaveLength(1));
  }, 60_000);
});

describe('etcd with users', () => {
  const root = { username: 'root', password: 'secret' };

  async function startWithUsers(): Promise<TestEtcd> {
    const etcd = await start();
    await etcd.admin(async (client) => {
      await client.auth.userAdd({ name: 'root', password: 'secret' });
      await client.role('root').create();
      await client.user('root').addRole('root');
      await client.role('reader').create();
      await client.role('reader').grant({ permission: 'Read', range: client.range({ prefix: PREFIX }) });
      await client.auth.userAdd({ name: 'reader', password: 'r' });
      await client.user('reader').addRole('reader');
      await client.auth.authEnable();
    });
    return etcd;
  }

  it('logs in, and again when a restart has made its token worthless, also for watches and renewals', async () => {
    const etcd = await startWithUsers();
    const store = open(etcd, root);
    const recorder = follow(store, await write(store, put('a')));
    const { leaseId } = await store.leases.grant(30);
    await store.leases.renew(leaseId);
    await etcd.kill();
    await etcd.restart(root);
    await eventually(() => store.leases.renew(leaseId), { timeoutMs: 10_000 });
    await eventually(() => write(store, put('b')), { timeoutMs: 10_000 });
    await eventually(() => expect(recorder.changes.map(keyOf)).toEqual([`${PREFIX}b`]), { timeoutMs: 10_000 });
  }, 60_000);

  it('says that a password is wrong, or is missing, or that the user may not', async () => {
    const etcd = await startWithUsers();
    const unauthenticated = { code: 'UNAUTHENTICATED', reason: 'STORE_AUTH' };
    for (const options of [{ username: 'root', password: 'wrong' }, {}]) {
      const store = open(etcd, options);
      await expect(store.get(`${PREFIX}a`)).rejects.toMatchObject(unauthenticated);
      const recorder = follow(store, 0n);
      await eventually(() => expect(recorder.ended).toBe(true));
      expect(['UNAUTHENTICATED', 'PERMISSION_DENIED']).toContain(isTroupeError(recorder.error) && recorder.error.code);
    }
    const reader = open(etcd, { username: 'reader', password: 'r' });
    const denied = { code: 'PERMISSION_DENIED', reason: 'STORE_AUTH' };
    await expect(reader.get(`${PREFIX}a`)).resolves.toBeUndefined();
    await expect(write(reader, put('a'))).rejects.toMatchObject(denied);
    await expect(reader.get('/elsewhere')).rejects.toMatchObject(denied);
    const recorder = new WatchRecorder(reader, '/elsewhere/', 0n);
    await eventually(() => expect(recorder.ended).toBe(true));
    expect(recorder.error).toMatchObject(denied);
  }, 60_000);

  it('lets a registry in by a file that holds its password, given by the configuration', async () => {
    const etcd = await startWithUsers();
    const folder = await mkdtemp(join(tmpdir(), 'troupe-etcd-users-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    const passwordFile = join(folder, 'password');
    const config = join(folder, 'troupe.json');
    await writeFile(
      config,
      JSON.stringify({ store: 'etcd', etcd: [etcd.endpoint], etcdUser: 'root', etcdPasswordFile: passwordFile }),
    );
    await writeFile(passwordFile, `${root.password}\n`);
    const registry = await startRole('registry', ['--config', config]);
    await expect(client(registry.address).instances()).resolves.toEqual([]);
    await writeFile(passwordFile, 'wrong');
    const refused = launch('registry', ['--config', config]);
    expect((await refused.exit).code).not.toBe(0);
    expect(refused.stderr).toMatch(/STORE_AUTH/);
    expect(refused.stderr).not.toContain('wrong');
  }, 60_000);

  it('needs no users where etcd has none', async () => {
    const store = open(await start(), root);
    await expect(store.get(`${PREFIX}a`)).resolves.toBeUndefined();
  }, 30_000);
});

describe('etcd with TLS', () => {
  it('is used when its certificate is trusted, and only then', async () => {
    const etcd = await start({ tls: true });
    const store = open(etcd, { tls: { ca: await etcd.certificate() } });
    const recorder = follow(store, await write(store, put('a')));
    await write(store, put('b'));
    await eventually(() => expect(recorder.changes).toHaveLength(1));
    const { leaseId } = await store.leases.grant(30);
    await expect(store.leases.renew(leaseId)).resolves.toBe(30);
    await expect(open(etcd).get(`${PREFIX}a`)).rejects.toMatchObject(UNAVAILABLE);
    await expect(open(etcd, { endpoints: [`http://127.0.0.1:${etcd.port}`] }).get('/a')).rejects.toMatchObject(UNAVAILABLE);
  }, 30_000);
});
