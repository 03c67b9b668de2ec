import { beforeEach } from '@jest/globals';
import { systemClock } from '../../src/core/clock.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { SeveredStore } from '../support/severed-store.js';
import { testElectionContract } from './election.js';

let shared: MemoryStore;

beforeEach(() => {
  shared = new MemoryStore({ clock: systemClock });
});

testElectionContract('MemoryStore', () => ({
  connect: async () => {
    const store = new SeveredStore(shared);
    return { store, cut: () => store.cut(), mend: () => store.mend() };
  },
}));
