import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { aborted } from '../../../src/core/abort.js';
import { Election } from '../../../src/store/election.js';
import { MemoryStore } from '../../../src/store/memory-store.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { SeveredStore } from '../../support/severed-store.js';

const KEY = '/leaders/registry';
const TROUBLE = 'the election, or the work of its leader, failed; trying on';

describe('a candidate', () => {
  let clock: FakeClock;
  let shared: MemoryStore;
  let own: SeveredStore;
  let logger: ReturnType<typeof recordingLogger>;
  let stop: () => Promise<void>;

  beforeEach(() => {
    clock = new FakeClock();
    shared = new MemoryStore({ clock });
    own = new SeveredStore(shared);
    logger = recordingLogger();
  });

  afterEach(async () => {
    await stop();
    await shared.close();
    expect(clock.pending).toBe(0);
  });

  function campaign(): void {
    const controller = new AbortController();
    const election = new Election({ store: own, clock, random: seededRandom(testSeed), logger }, { key: KEY, candidate: 'one' });
    const running = election.run(({ signal }) => aborted(signal), controller.signal);
    stop = async () => {
      controller.abort();
      await running;
    };
  }

  const otherLeads = () => shared.txn([], [{ kind: 'put', key: KEY, value: Buffer.from('other'), leaseId: 0n }]);
  const nobodyLeads = () => shared.txn([], [{ kind: 'delete', key: KEY }]);
  const troubles = () => logger.at('warn').filter((event) => event === TROUBLE).length;

  async function failedCall(): Promise<void> {
    own.mend();
    await settle();
  }

  it('that never leads tells of each time that the store does not answer, and once of what lasts', async () => {
    await otherLeads();
    own.cut();
    campaign();
    await settle();
    await failedCall();
    expect(troubles()).toBe(1);
    own.cut();
    await clock.advance(1_000);
    await failedCall();
    expect(troubles()).toBe(1);

    await clock.advance(5_000);
    await nobodyLeads();
    await settle();
    own.cut();
    await otherLeads();
    await clock.advance(500);
    await failedCall();
    expect(troubles()).toBe(2);
  });

  it('that others outrun tells of the next trouble', async () => {
    own.cut();
    campaign();
    await settle();
    await failedCall();
    expect(troubles()).toBe(1);
    await otherLeads();
    await clock.advance(1_000);
    await nobodyLeads();
    await settle();
    own.cut();
    await clock.advance(500);
    await failedCall();
    expect(troubles()).toBe(2);
  });
});
