import { expect, it } from '@jest/globals';
import { firstView } from '../../../src/discovery/first-view.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { FakeClock } from '../../support/fake-clock.js';

it('is waited for, until it is there, and not any more once it has been', async () => {
  const view = new ClusterView(new FakeClock());
  const waiting = firstView(view);
  view.reset([], 7n);
  await expect(waiting).resolves.toBeUndefined();
  expect(firstView(view)).toBeUndefined();
});

it('is given up after 3 s, with what says that nothing has started', async () => {
  const clock = new FakeClock();
  const refused = expect(firstView(new ClusterView(clock))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    reason: 'NOT_JOINED',
    retryAfterMs: 1_000,
    metadata: { started: 'false' },
  });
  await clock.advance(3_000);
  await refused;
});
