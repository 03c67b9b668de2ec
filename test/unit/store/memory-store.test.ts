import { describe, expect, it } from '@jest/globals';
import { MemoryStore } from '../../../src/store/memory-store.js';
import type { WatchEvent } from '../../../src/store/store.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { WatchRecorder } from '../../support/watch-recorder.js';

const value = new Uint8Array([1]);

function put(store: MemoryStore, key: string, leaseId = 0n) {
  return store.txn([], [{ kind: 'put', key, value, leaseId }]);
}

describe('MemoryStore', () => {
  it('ends a lease by the monotonic clock, whatever the wall clock does', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    const { leaseId } = await store.leases.grant(10);
    await put(store, 'a', leaseId);
    clock.step(3_600_000);
    await clock.advance(9_999);
    await expect(store.get('a')).resolves.toBeDefined();
    clock.step(-7_200_000);
    await clock.advance(1);
    await expect(store.get('a')).resolves.toBeUndefined();
    await store.close();
  });

  it('renews a lease by a whole life, and says how much is left', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    const { leaseId } = await store.leases.grant(10);
    await clock.advance(9_000);
    await expect(store.leases.timeToLive(leaseId)).resolves.toEqual({ remainingSeconds: 1, grantedSeconds: 10 });
    await expect(store.leases.renew(leaseId)).resolves.toBe(10);
    await clock.advance(9_500);
    await expect(store.leases.timeToLive(leaseId)).resolves.toEqual({ remainingSeconds: 0, grantedSeconds: 10 });
    await clock.advance(500);
    await expect(store.leases.timeToLive(leaseId)).resolves.toBeUndefined();
    await store.close();
  });

  it('serves a thousand leases with one timer, and none when none is left', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    for (let i = 1; i <= 1_000; i++) await put(store, `k${i}`, (await store.leases.grant(i)).leaseId);
    expect(clock.pending).toBe(1);
    await clock.advance(500_000);
    expect((await store.list('')).entries).toHaveLength(500);
    expect(clock.pending).toBe(1);
    await clock.advance(500_000);
    expect((await store.list('')).entries).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  it('ends a lease that is longer than a timer can be', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    const days = 60 * 86_400;
    const { leaseId } = await store.leases.grant(days);
    await clock.advance(days * 1_000 - 1);
    await expect(store.leases.timeToLive(leaseId)).resolves.toBeDefined();
    await clock.advance(1);
    await expect(store.leases.timeToLive(leaseId)).resolves.toBeUndefined();
  });

  it('takes an expired lease for gone even when its timer comes late', async () => {
    const clock = new FakeClock();
    let now = 0;
    const store = new MemoryStore({ clock: { now: () => 0, monotonicMs: () => now, after: (ms, run) => clock.after(ms, run) } });
    const { leaseId } = await store.leases.grant(5);
    await put(store, 'a', leaseId);
    now = 5_000;
    await expect(store.leases.renew(leaseId)).rejects.toMatchObject({ reason: 'LEASE_NOT_FOUND' });
    await expect(store.get('a')).resolves.toBeUndefined();
    await store.close();
  });

  it('forgets the oldest revisions beyond its limit', async () => {
    const store = new MemoryStore({ clock: new FakeClock() }, { historyLimit: 3 });
    for (let i = 0; i < 10; i++) await put(store, 'a');
    const { revision } = await store.list('');
    const resumed = new WatchRecorder(store, '', revision - 3n);
    const late = new WatchRecorder(store, '', revision - 4n);
    await settle();
    expect(late.error).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
    await resumed.stop();
    await late.stop();
    expect(resumed.groups.map((group) => group.revision)).toEqual([revision - 2n, revision - 1n, revision]);
    await store.close();
  });

  it('tells who resumes from an earlier life to list again', async () => {
    const before = new MemoryStore({ clock: new FakeClock() }, { initialRevision: 1_000n });
    const { revision } = await put(before, 'a');
    const after = new MemoryStore({ clock: new FakeClock() }, { initialRevision: 2_000n });
    for (let i = 0; i < 5; i++) await put(after, 'a');
    const recorder = new WatchRecorder(after, '', revision);
    await recorder.stop();
    expect(recorder.error).toMatchObject({ reason: 'COMPACTED' });
  });

  it('tells a reader that was overtaken by the history', async () => {
    const store = new MemoryStore({ clock: new FakeClock() }, { historyLimit: 3 });
    await put(store, 'a');
    const watch = store.watch('', { afterRevision: 1n, signal: new AbortController().signal });
    await expect(watch.next()).resolves.toMatchObject({ value: { kind: 'changes', revision: 2n } });
    for (let i = 0; i < 5; i++) await put(store, 'a');
    await expect(watch.next()).rejects.toMatchObject({ reason: 'COMPACTED' });
  });

  it('says each second that a watch is alive, and leaves no timer behind', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    const recorder = new WatchRecorder(store, '', 1n);
    await clock.advance(0);
    expect(recorder.alives).toBe(1);
    await clock.advance(5_000);
    expect(recorder.alives).toBe(6);
    await recorder.stop();
    expect(clock.pending).toBe(0);
  });

  it('leaves no timer behind when it is closed', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    await store.leases.grant(10);
    const recorder = new WatchRecorder(store, '', 1n);
    await clock.advance(10);
    await store.close();
    await clock.advance(0);
    expect(recorder.error).toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect(clock.pending).toBe(0);
  });

  it('gives a slow reader every revision of its prefix', async () => {
    const store = new MemoryStore({ clock: new FakeClock() });
    const controller = new AbortController();
    const events: WatchEvent[] = [];
    for (let i = 0; i < 6; i++) await put(store, i % 2 === 0 ? 'a/x' : 'b/x');
    for await (const event of store.watch('b/', { afterRevision: 1n, signal: controller.signal })) {
      events.push(event);
      await new Promise((resolve) => setImmediate(resolve));
      if (event.kind === 'alive') controller.abort();
    }
    expect(events.map((event) => (event.kind === 'alive' ? 'alive' : event.revision))).toEqual([3n, 5n, 7n, 'alive']);
  });
});
