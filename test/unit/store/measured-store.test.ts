import { expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { measuredStore } from '../../../src/store/measured-store.js';
import { MemoryStore } from '../../../src/store/memory-store.js';
import { INSTRUMENTS } from '../../../src/telemetry/instruments.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';

it('measures operations of a store by name and code, and gives what they give', async () => {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  const memory = new MemoryStore({ clock, random: seededRandom(1) });
  const away = new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'away');
  const slow = {
    ...measuredStore(memory, new Metrics(clock), clock),
    async get() {
      await clock.advance(20);
      throw away;
    },
  };
  const store = measuredStore(slow, metrics, clock);
  expect((await store.list('/')).entries).toEqual([]);
  await expect(store.get('/a')).rejects.toBe(away);
  const family = metrics.collect().find(({ instrument }) => instrument === INSTRUMENTS.storeDuration);
  expect(family?.lines).toEqual([
    { labels: ['list', 'OK'], value: expect.objectContaining({ count: 1, sum: 0 }) },
    { labels: ['get', 'UNAVAILABLE'], value: expect.objectContaining({ count: 1, sum: 0.02 }) },
  ]);
  await store.close();
});
