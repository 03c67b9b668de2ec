import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { MemoryStore } from '../../../src/store/memory-store.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { RegistryRig } from './registry-rig.js';

const UNAVAILABLE = new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'away');
const COMPACTED = new TroupeError('OUT_OF_RANGE', 'COMPACTED', 'compacted');

/** A store whose lists and watches fail as often as the test says. */
class FlakyStore extends MemoryStore {
  failLists = 0;
  lists = 0;
  failWatches: TroupeError[] = [];
  watches = 0;

  override list(prefix: string, signal?: AbortSignal) {
    this.lists += 1;
    if (this.failLists > 0) {
      this.failLists -= 1;
      return Promise.reject(UNAVAILABLE);
    }
    return super.list(prefix, signal);
  }

  override async *watch(...given: Parameters<MemoryStore['watch']>) {
    this.watches += 1;
    const failure = this.failWatches.shift();
    if (failure !== undefined) throw failure;
    yield* super.watch(...given);
  }
}

let rig: RegistryRig;
let store: FlakyStore;

function start(failLists: number, failWatches: TroupeError[] = []): void {
  store = new FlakyStore({ clock: new FakeClock() });
  store.failLists = failLists;
  store.failWatches = failWatches;
  rig = new RegistryRig({ store });
}

afterEach(() => rig.stop());

describe('Mirror', () => {
  it('waits for its store with growing pauses, and says so once', async () => {
    start(8);
    await rig.clock.advance(50);
    expect(rig.mirror.isReady).toBe(false);
    const soon = store.lists;
    for (let i = 0; i < 10; i++) await rig.clock.advance(500);
    await rig.mirror.firstRead;
    expect(soon).toBeLessThan(8);
    expect(rig.mirror.isReady).toBe(true);
    expect(rig.logger.at('warn')).toEqual(['the store is not reached; serving what is known']);
  });

  it('lists anew after a compaction, and does not ask without a pause while the store is away', async () => {
    start(0, [COMPACTED]);
    store.failLists = 0;
    await rig.mirror.firstRead;
    await settle();
    expect(store.lists).toBe(2);
    await rig.stop();

    start(0, [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, COMPACTED]);
    await settle();
    expect([store.lists, store.watches]).toEqual([1, 1]);
    store.failLists = 3;
    // Three pauses before it lists anew, and three more: of at most 50, 100, 200, 400, 800 and 1,000 ms.
    await rig.clock.advance(2_550);
    await settle();
    expect(store.lists).toBe(5);
    expect(store.watches).toBe(5);
    expect(rig.logger.at('warn').filter((event) => event.startsWith('the store is not reached'))).toHaveLength(1);
  });

  it('leaves out what it cannot read, and goes on', async () => {
    start(0);
    await rig.mirror.firstRead;
    const put = (key: string, value: Uint8Array) => ({ kind: 'put' as const, key, value, leaseId: 0n });
    await store.txn(
      [],
      [
        put(rig.keys.instance('agent', 'broken'), Uint8Array.from([0xff, 0xff])),
        put(`${rig.keys.instances()}odd`, new Uint8Array()),
      ],
    );
    await rig.register({ id: 'a' });
    expect((await rig.list()).instances.map(({ id }) => id)).toEqual(['a']);
    expect(rig.logger.at('error')).toEqual(['a stored instance cannot be read']);
  });

  it('does not remember who waited in vain', async () => {
    start(0);
    await rig.mirror.firstRead;
    let reached = false;
    void rig.mirror.reached(1_000n, 500).then(() => {
      reached = true;
    });
    await rig.clock.advance(499);
    expect(reached).toBe(false);
    await rig.clock.advance(1);
    await settle();
    expect(reached).toBe(true);
    expect(Reflect.get(rig.mirror, 'waiting')).toEqual([]);
  });
});
