import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isTroupeError, TroupeError } from '../../src/core/errors.js';
import type { Store, Write } from '../../src/store/store.js';
import { eventually } from '../support/eventually.js';
import { keyOf, WatchRecorder } from '../support/watch-recorder.js';

export interface StoreSubject {
  readonly store: Store;
  /** Forgets the history before `revision`. */
  compact(revision: bigint): Promise<void>;
}

let runs = 0;

/** What the port `Store` promises. `open` gives a store that is ready; the suite closes it. */
export function testStoreContract(name: string, open: () => Promise<StoreSubject>): void {
  describe(name, () => {
    let subject: StoreSubject;
    let store: Store;
    /** Below it is nothing yet. */
    let root: string;
    let recorders: WatchRecorder[] = [];

    beforeEach(async () => {
      subject = await open();
      store = subject.store;
      runs += 1;
      root = `/contract-${runs}/`;
    });

    afterEach(async () => {
      await Promise.all(recorders.map((recorder) => recorder.stop()));
      recorders = [];
      await store.close();
    });

    const put = (key: string, value: string, leaseId = 0n): Write => ({
      kind: 'put',
      key: root + key,
      value: Buffer.from(value),
      leaseId,
    });
    const remove = (key: string): Write => ({ kind: 'delete', key: root + key });
    const write = async (...writes: readonly Write[]) => (await store.txn([], writes)).revision;
    const read = async (key: string) => {
      const entry = await store.get(root + key);
      return entry === undefined ? undefined : Buffer.from(entry.value).toString();
    };
    const watch = (prefix: string, afterRevision: bigint) => {
      const recorder = new WatchRecorder(store, prefix, afterRevision);
      recorders.push(recorder);
      return recorder;
    };
    const now = async () => (await store.list(root)).revision;

    describe('reading', () => {
      it('has no entry for a key that was never put', async () => {
        await expect(store.get(`${root}nothing`)).resolves.toBeUndefined();
      });

      it('gives an entry with its revisions, its lease and its bytes', async () => {
        const first = await write(put('a', 'one'));
        const second = await write(put('a', 'two'));
        expect(second).toBeGreaterThan(first);
        await expect(store.get(`${root}a`)).resolves.toEqual({
          key: `${root}a`,
          value: new Uint8Array(Buffer.from('two')),
          createRevision: first,
          modRevision: second,
          leaseId: 0n,
        });
      });

      it('begins a new life when a deleted key is put again', async () => {
        await write(put('a', 'one'));
        await write(remove('a'));
        const revision = await write(put('a', 'two'));
        await expect(store.get(`${root}a`)).resolves.toMatchObject({ createRevision: revision, modRevision: revision });
      });

      it('lists what is below a prefix, by key, at one revision', async () => {
        await write(put('b/2', 'x'), put('a', 'x'), put('b/1', 'x'), put('bb', 'x'), put('b0', 'x'));
        const { entries, revision } = await store.list(`${root}b/`);
        expect(entries.map(({ key }) => key)).toEqual([`${root}b/1`, `${root}b/2`]);
        expect(revision).toBe(await now());
      });

      it('orders keys by their UTF-8 bytes', async () => {
        const keys = ['Z', 'a', 'é', '\u{ffee}', '\u{1f600}'];
        await write(...[...keys].reverse().map((key) => put(key, 'x')));
        const { entries } = await store.list(root);
        expect(entries.map(({ key }) => key)).toEqual(keys.map((key) => root + key));
      });

      it('lists nothing below an unknown prefix', async () => {
        expect((await store.list(`${root}nothing/`)).entries).toEqual([]);
      });

      it('reads its own writes', async () => {
        for (let i = 0; i < 20; i++) {
          await write(put('counter', String(i)));
          await expect(read('counter')).resolves.toBe(String(i));
        }
      });

      it('keeps keys that name parts of objects as plain keys', async () => {
        await write(put('__proto__', 'p'), put('constructor', 'c'), put('toString', 't'));
        await expect(read('__proto__')).resolves.toBe('p');
        const { entries } = await store.list(root);
        expect(entries.map(({ key }) => key)).toEqual(['__proto__', 'constructor', 'toString'].map((key) => root + key));
        expect(({} as Record<string, unknown>).value).toBeUndefined();
      });

      it('keeps a copy of what was put', async () => {
        const value = Buffer.from('before');
        await write({ kind: 'put', key: `${root}a`, value, leaseId: 0n });
        value.write('AFTER!');
        await expect(read('a')).resolves.toBe('before');
      });

      it('keeps an empty value and one of 1 MiB', async () => {
        const big = new Uint8Array(1024 * 1024).map((_, i) => i % 251);
        await write({ kind: 'put', key: `${root}big`, value: big, leaseId: 0n }, put('empty', ''));
        expect(Buffer.compare((await store.get(`${root}big`))?.value ?? new Uint8Array(), big)).toBe(0);
        await expect(read('empty')).resolves.toBe('');
      });

      it('lists more than fits in one message', async () => {
        const value = new Uint8Array(1024 * 1024);
        for (let i = 0; i < 9; i++) await write({ kind: 'put', key: `${root}big/${i}`, value, leaseId: 0n });
        for (let i = 0; i < 300; i += 100) await write(...Array.from({ length: 100 }, (_, j) => put(`s/${i + j}`, 'x')));
        const { entries } = await store.list(root);
        expect(entries).toHaveLength(309);
        expect(entries.filter(({ value: { byteLength } }) => byteLength === 1024 * 1024)).toHaveLength(9);
      });
    });

    describe('transactions', () => {
      it('gives each one the next revision', async () => {
        const before = await now();
        await expect(write(put('a', 'x'), put('b', 'x'))).resolves.toBe(before + 1n);
        await expect(write(put('a', 'y'))).resolves.toBe(before + 2n);
      });

      it('writes when every condition holds', async () => {
        const modRevision = await write(put('a', 'one'));
        const conditions = [
          { key: `${root}a`, modRevision },
          { key: `${root}b`, modRevision: 0n },
        ];
        const result = await store.txn(conditions, [put('a', 'two'), put('b', 'two')]);
        expect(result).toEqual({ applied: true, revision: modRevision + 1n });
        await expect(read('b')).resolves.toBe('two');
      });

      it('writes nothing when one condition does not hold, and gives the revision', async () => {
        const modRevision = await write(put('a', 'one'));
        const conditions = [
          { key: `${root}a`, modRevision },
          { key: `${root}b`, modRevision },
        ];
        const result = await store.txn(conditions, [put('a', 'two'), put('b', 'two'), remove('c')]);
        expect(result).toEqual({ applied: false, revision: modRevision });
        await expect(read('a')).resolves.toBe('one');
        await expect(read('b')).resolves.toBeUndefined();
      });

      it('does not take a key for absent that is there, nor for the one it was', async () => {
        const first = await write(put('a', 'one'));
        await expect(store.txn([{ key: `${root}a`, modRevision: 0n }], [put('a', 'x')])).resolves.toMatchObject({
          applied: false,
        });
        await write(remove('a'));
        await write(put('a', 'again'));
        await expect(store.txn([{ key: `${root}a`, modRevision: first }], [put('a', 'x')])).resolves.toMatchObject({
          applied: false,
        });
      });

      it('lets one of many create a key', async () => {
        const tries = Array.from({ length: 20 }, (_, i) =>
          store.txn([{ key: `${root}lock`, modRevision: 0n }], [put('lock', String(i))]),
        );
        const results = await Promise.all(tries);
        const winners = results.flatMap(({ applied }, i) => (applied ? [String(i)] : []));
        expect(winners).toHaveLength(1);
        await expect(read('lock')).resolves.toBe(winners[0]);
      });

      it('takes no revision for a deletion of what is not there', async () => {
        const before = await now();
        await expect(store.txn([], [remove('nothing')])).resolves.toEqual({ applied: true, revision: before });
      });

      it('takes 128 writes', async () => {
        await write(...Array.from({ length: 128 }, (_, i) => put(`many/${i}`, 'x')));
        expect((await store.list(`${root}many/`)).entries).toHaveLength(128);
      });

      it.each<[string, (root: string) => Write[]]>([
        ['no write', () => []],
        ['129 writes', () => Array.from({ length: 129 }, (_, i) => ({ kind: 'delete', key: String(i) }))],
        ['a key twice', () => [put('a', 'x'), remove('a')]],
        ['an empty key', () => [{ kind: 'delete', key: '' }]],
        ['too many bytes', () => [{ kind: 'put', key: 'a', value: new Uint8Array(1_600_000), leaseId: 0n }]],
      ])('refuses %s', async (_, writes) => {
        await expect(store.txn([], writes(root))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      });
    });

    describe('leases', () => {
      it('grants at least the life that was asked for', async () => {
        const { leaseId, ttlSeconds } = await store.leases.grant(30);
        expect(leaseId).not.toBe(0n);
        expect(ttlSeconds).toBeGreaterThanOrEqual(30);
        const life = await store.leases.timeToLive(leaseId);
        expect(life?.grantedSeconds).toBe(ttlSeconds);
        expect(life?.remainingSeconds).toBeGreaterThan(25);
        await expect(store.leases.renew(leaseId)).resolves.toBe(ttlSeconds);
      });

      it('grants each lease an id of its own', async () => {
        const granted = await Promise.all(Array.from({ length: 20 }, () => store.leases.grant(30)));
        expect(new Set(granted.map(({ leaseId }) => leaseId)).size).toBe(20);
      });

      it('renews many at a time, each as itself', async () => {
        const granted = await Promise.all(Array.from({ length: 50 }, (_, i) => store.leases.grant(100 + i)));
        const renewals = granted.flatMap(({ leaseId }) => [leaseId, leaseId]).map((leaseId) => store.leases.renew(leaseId));
        const lives = await Promise.all(renewals);
        expect(lives).toEqual(granted.flatMap(({ ttlSeconds }) => [ttlSeconds, ttlSeconds]));
      });

      it('puts under a lease, and says so', async () => {
        const { leaseId } = await store.leases.grant(30);
        await write(put('a', 'x', leaseId));
        await expect(store.get(`${root}a`)).resolves.toMatchObject({ leaseId });
      });

      it('removes all keys of a revoked lease in one revision, and no others', async () => {
        const { leaseId } = await store.leases.grant(30);
        await write(put('a', 'x', leaseId), put('b', 'x', leaseId), put('c', 'x'));
        const revision = await write(put('d', 'x', leaseId));
        const recorder = watch(root, revision);
        await expect(store.leases.revoke(leaseId)).resolves.toBe(revision + 1n);
        expect((await store.list(root)).entries.map(({ key }) => key)).toEqual([`${root}c`]);
        await eventually(() => expect(recorder.groups).toHaveLength(1));
        expect(recorder.groups[0]?.revision).toBe(revision + 1n);
        expect(new Set(recorder.changes.map(keyOf))).toEqual(new Set(['a', 'b', 'd'].map((key) => root + key)));
      });

      it('removes the keys of a lease that is not renewed, in one revision', async () => {
        const { leaseId } = await store.leases.grant(1);
        const revision = await write(put('a', 'x', leaseId), put('b', 'x', leaseId));
        const recorder = watch(root, revision);
        await eventually(() => expect(recorder.groups).toHaveLength(1), { timeoutMs: 10_000 });
        expect(recorder.groups[0]?.changes).toHaveLength(2);
        expect((await store.list(root)).entries).toEqual([]);
        await expect(store.leases.timeToLive(leaseId)).resolves.toBeUndefined();
        await expect(store.leases.renew(leaseId)).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND' });
      });

      it('keeps the keys of a lease that is renewed beyond its first life', async () => {
        const { leaseId, ttlSeconds } = await store.leases.grant(2);
        await write(put('a', 'x', leaseId));
        const endMs = performance.now() + ttlSeconds * 1_000 + 1_000;
        const renewUntilEnd = async () => {
          await store.leases.renew(leaseId);
          expect(performance.now()).toBeGreaterThan(endMs);
        };
        await eventually(renewUntilEnd, { timeoutMs: 10_000 });
        await expect(read('a')).resolves.toBe('x');
      });

      it('does not take a key along that has been put under another lease, or none', async () => {
        const [first, second] = [await store.leases.grant(30), await store.leases.grant(30)];
        await write(put('a', 'x', first.leaseId), put('b', 'x', first.leaseId), put('c', 'x', first.leaseId));
        await write(put('a', 'y', second.leaseId), put('b', 'y'));
        await write(remove('c'));
        await write(put('c', 'y'));
        await store.leases.revoke(first.leaseId);
        expect((await store.list(root)).entries).toHaveLength(3);
        await store.leases.revoke(second.leaseId);
        expect((await store.list(root)).entries.map(({ key }) => key)).toEqual([`${root}b`, `${root}c`]);
      });

      it('refuses a put under a lease that is gone, with everything that came with it', async () => {
        const { leaseId } = await store.leases.grant(30);
        await store.leases.revoke(leaseId);
        const refused = store.txn([], [put('a', 'x'), put('b', 'x', leaseId)]);
        await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND' });
        expect((await store.list(root)).entries).toEqual([]);
      });

      it('does not look at the leases of a transaction whose conditions do not hold', async () => {
        const { leaseId } = await store.leases.grant(30);
        await store.leases.revoke(leaseId);
        const result = store.txn([{ key: `${root}a`, modRevision: 1n }], [put('a', 'x', leaseId)]);
        await expect(result).resolves.toMatchObject({ applied: false });
      });

      it('takes a second revocation for done, without a new revision', async () => {
        const { leaseId } = await store.leases.grant(30);
        await write(put('a', 'x', leaseId));
        const revision = await store.leases.revoke(leaseId);
        await expect(store.leases.revoke(leaseId)).resolves.toBe(revision);
        await expect(store.leases.renew(leaseId)).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND' });
      });

      it('still renews others beside one that is gone', async () => {
        const [gone, kept] = [await store.leases.grant(30), await store.leases.grant(30)];
        await store.leases.revoke(gone.leaseId);
        const renewals = await Promise.allSettled([gone, kept, gone, kept].map(({ leaseId }) => store.leases.renew(leaseId)));
        expect(renewals.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
      });

      it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses a life of %d seconds', async (ttlSeconds) => {
        await expect(store.leases.grant(ttlSeconds)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      });
    });

    describe('watching', () => {
      it('gives every change after a revision, in order, the old ones and the new', async () => {
        const start = await now();
        for (let i = 0; i < 10; i++) await write(put('a', String(i)));
        const recorder = watch(root, start);
        await eventually(() => expect(recorder.groups).toHaveLength(10));
        for (let i = 10; i < 20; i++) await write(put('a', String(i)));
        await eventually(() => expect(recorder.groups).toHaveLength(20));
        expect(recorder.groups.map(({ revision }) => revision)).toEqual(
          Array.from({ length: 20 }, (_, i) => start + BigInt(i) + 1n),
        );
        const values = recorder.changes.map((change) => change.kind === 'put' && Buffer.from(change.entry.value).toString());
        expect(values).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
      });

      it('gives a put with its entry and a deletion with its key', async () => {
        const recorder = watch(root, await now());
        const created = await write(put('a', 'x'));
        const deleted = await write(remove('a'));
        await eventually(() => expect(recorder.groups).toHaveLength(2));
        expect(recorder.groups).toEqual([
          {
            kind: 'changes',
            revision: created,
            changes: [
              {
                kind: 'put',
                entry: {
                  key: `${root}a`,
                  value: new Uint8Array(Buffer.from('x')),
                  createRevision: created,
                  modRevision: created,
                  leaseId: 0n,
                },
              },
            ],
          },
          { kind: 'changes', revision: deleted, changes: [{ kind: 'delete', key: `${root}a` }] },
        ]);
      });

      it('gives all changes of one revision together, also large ones', async () => {
        const recorder = watch(root, await now());
        const late = await now();
        const big = new Uint8Array(10_000);
        for (let i = 0; i < 4; i++) {
          await write(
            ...Array.from({ length: 128 }, (_, j): Write => ({ kind: 'put', key: `${root}${j}`, value: big, leaseId: 0n })),
          );
        }
        const resumed = watch(root, late);
        for (const each of [recorder, resumed]) {
          await eventually(() => expect(each.changes).toHaveLength(4 * 128));
          expect(each.groups).toHaveLength(4);
        }
      });

      it('gives only what is below its prefix', async () => {
        const start = await now();
        const recorder = watch(`${root}b/`, start);
        await write(put('a', 'x'), put('b/1', 'x'), put('b0', 'x'), put('b', 'x'));
        await write(put('c', 'x'));
        const last = await write(put('b/2', 'x'));
        await eventually(() => expect(recorder.groups.at(-1)?.revision).toBe(last));
        expect(recorder.changes.map(keyOf)).toEqual([`${root}b/1`, `${root}b/2`]);
      });

      it('goes on after a listing without a gap or a repetition', async () => {
        const writer = (async () => {
          for (let i = 0; i < 100; i++) await write(put(`k/${i}`, 'x'));
        })();
        await eventually(async () => expect((await store.list(`${root}k/`)).entries.length).toBeGreaterThan(10));
        const { entries, revision } = await store.list(`${root}k/`);
        const recorder = watch(`${root}k/`, revision);
        await writer;
        await eventually(() => expect(entries.length + recorder.changes.length).toBe(100));
        expect(new Set([...entries.map(({ key }) => key), ...recorder.changes.map(keyOf)]).size).toBe(100);
      });

      it('serves many watches at a time', async () => {
        const start = await now();
        const all = Array.from({ length: 20 }, () => watch(root, start));
        for (let i = 0; i < 10; i++) await write(put('a', String(i)));
        await eventually(() => expect(all.map(({ groups }) => groups.length)).toEqual(all.map(() => 10)));
      });

      it('says at least every 2 s that it is alive, first after what there is to catch up', async () => {
        const start = await now();
        await write(put('a', 'x'));
        const recorder = watch(root, start);
        await eventually(() => expect(recorder.alives).toBeGreaterThanOrEqual(1), { timeoutMs: 3_000 });
        expect(recorder.events[0]?.kind).toBe('changes');
        const before = recorder.alives;
        await eventually(() => expect(recorder.alives).toBeGreaterThan(before), { timeoutMs: 2_000 });
      });

      it('says so on a store where nothing happens, too', async () => {
        const recorder = watch(root, await now());
        await eventually(() => expect(recorder.alives).toBeGreaterThanOrEqual(3), { timeoutMs: 6_000 });
        expect(recorder.groups).toEqual([]);
      });

      it('ends without an error when its signal aborts, whatever it is doing', async () => {
        const recorder = watch(root, await now());
        await eventually(() => expect(recorder.alives).toBeGreaterThan(0));
        await recorder.stop();
        expect(recorder.error).toBeUndefined();
        const aborted = store.watch(root, { afterRevision: 0n, signal: AbortSignal.abort() });
        for await (const event of aborted) throw new Error(`an aborted watch gave ${event.kind}`);
      });

      it('ends when its reader leaves', async () => {
        const start = await now();
        await write(put('a', 'x'));
        for await (const event of store.watch(root, { afterRevision: start, signal: new AbortController().signal })) {
          if (event.kind === 'changes') break;
        }
      });

      it('refuses to go on from a revision that was compacted away', async () => {
        const start = await write(put('a', '0'));
        for (let i = 1; i <= 10; i++) await write(put('a', String(i)));
        await subject.compact(start + 5n);
        const recorder = watch(root, start);
        await eventually(() => expect(recorder.ended).toBe(true));
        expect(recorder.error).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
        expect(recorder.changes).toEqual([]);
      });

      it('does not lose a deletion to a compaction at the same revision', async () => {
        const put1 = await write(put('a', 'x'));
        const deleted = await write(remove('a'));
        await write(put('b', 'x'));
        await subject.compact(deleted);
        const recorder = watch(root, put1);
        await eventually(() => expect(recorder.ended || recorder.changes.length === 2).toBe(true));
        if (recorder.ended) expect(recorder.error).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
        else expect(recorder.changes[0]).toEqual({ kind: 'delete', key: `${root}a` });
      });

      it('goes on from the very revision of a compaction', async () => {
        const start = await write(put('a', '0'));
        await subject.compact(start);
        const recorder = watch(root, start);
        await write(put('a', '1'));
        await eventually(() => expect(recorder.changes).toHaveLength(1));
      });

      it('refuses a revision that the store has not reached', async () => {
        const recorder = watch(root, (await now()) + 1_000n);
        await eventually(() => expect(recorder.ended).toBe(true));
        expect(recorder.error).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
      });

      it('goes on under a compaction of what it has given already', async () => {
        const recorder = watch(root, await now());
        const revision = await write(put('a', '0'));
        await eventually(() => expect(recorder.changes).toHaveLength(1));
        await subject.compact(revision);
        await write(put('a', '1'));
        await eventually(() => expect(recorder.changes).toHaveLength(2));
        expect(recorder.error).toBeUndefined();
      });
    });

    describe('calls', () => {
      const calls: [string, (store: Store, signal: AbortSignal) => Promise<unknown>][] = [
        ['get', (subject, signal) => subject.get('/a', signal)],
        ['list', (subject, signal) => subject.list('/a', signal)],
        ['txn', (subject, signal) => subject.txn([], [{ kind: 'delete', key: '/a' }], signal)],
        ['leases.grant', (subject, signal) => subject.leases.grant(30, signal)],
        ['leases.renew', (subject, signal) => subject.leases.renew(1n, signal)],
        ['leases.revoke', (subject, signal) => subject.leases.revoke(1n, signal)],
        ['leases.timeToLive', (subject, signal) => subject.leases.timeToLive(1n, signal)],
      ];

      it.each(calls)('%s is cancelled by its signal', async (_, call) => {
        await expect(call(store, AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
      });

      it.each(calls)('%s gives the reason of its signal when that is an error of ours', async (_, call) => {
        const reason = new TroupeError('ABORTED', 'FENCED', 'the node fenced itself');
        await expect(call(store, AbortSignal.abort(reason))).rejects.toBe(reason);
      });

      it.each(calls)('%s is refused once the store was closed', async (_, call) => {
        await store.close();
        const refused = call(store, new AbortController().signal);
        await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 1_000 });
      });

      it('under way fail with UNAVAILABLE when the store is closed, and so do watches', async () => {
        const recorder = watch(root, await now());
        await eventually(() => expect(recorder.alives).toBeGreaterThan(0));
        const results = Promise.allSettled(calls.map(([, call]) => call(store, new AbortController().signal)));
        await store.close();
        for (const result of await results) {
          if (result.status === 'rejected' && !isTroupeError(result.reason, 'LEASE_NOT_FOUND')) {
            expect(result.reason).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE' });
          }
        }
        await eventually(() => expect(recorder.ended).toBe(true));
        expect(recorder.error).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE' });
      });

      it('may close a store twice', async () => {
        await store.close();
        await store.close();
      });
    });
  });
}
