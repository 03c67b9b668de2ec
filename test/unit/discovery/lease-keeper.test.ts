import { expect, it } from '@jest/globals';
import { aborted } from '../../../src/core/abort.js';
import { abortError } from '../../../src/core/errors.js';
import { LeaseKeeper } from '../../../src/discovery/lease-keeper.js';
import type { RegistryClient, RegistrySession } from '../../../src/discovery/registry-session.js';
import { FakeClock } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { nodeOf } from './instances.js';

it('does not begin to renew where its process was told to end while the registry granted the lease', async () => {
  const clock = new FakeClock();
  const until = new AbortController();
  const client = {
    register: async () => {
      until.abort();
      return { leaseId: 1n };
    },
    keepAlive: (_requests: unknown, { signal }: { readonly signal: AbortSignal }) => ({
      [Symbol.asyncIterator]: () => ({ next: () => aborted(signal).then(() => Promise.reject(abortError(signal))) }),
    }),
  } as unknown as RegistryClient;
  const registry = { client, address: 'granting:1', turnFrom: () => undefined } as unknown as RegistrySession;
  const nothing = () => undefined;
  const keeper = new LeaseKeeper(
    { registry, clock, random: seededRandom(testSeed), logger: recordingLogger() },
    { ttlMs: 10_000 },
    { self: () => nodeOf('node-1'), granted: nothing, renewed: nothing, gone: nothing },
  );
  await keeper.run(until.signal);
  expect(clock.pending).toBe(0);
});
