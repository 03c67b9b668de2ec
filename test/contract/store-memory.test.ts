import { systemClock } from '../../src/core/clock.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { testStoreContract } from './store.js';

testStoreContract('MemoryStore', async () => {
  const store = new MemoryStore({ clock: systemClock });
  return { store, compact: async (revision) => store.compact(revision) };
});
