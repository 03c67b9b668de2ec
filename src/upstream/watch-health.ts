import { TroupeError } from '../core/errors.js';
import { EventQueue } from '../core/event-queue.js';
import type { WatchHealthResponse } from '../gen/troupe/v1/node.js';
import { healthToMessage, transitionToMessage } from './health-messages.js';
import type { HealthTable } from './health-table.js';

/** Transitions that a reader may be behind. */
const MAX_BACKLOG = 1_000;

/** Node.WatchHealth: all that are not healthy, then every transition, until `signal` aborts. @throws RESOURCE_EXHAUSTED / SLOW_READER. */
export async function* watchHealth(
  table: HealthTable,
  signal: AbortSignal,
): AsyncGenerator<WatchHealthResponse, void, undefined> {
  const queue = new EventQueue<WatchHealthResponse>(
    MAX_BACKLOG,
    () =>
      new TroupeError(
        'RESOURCE_EXHAUSTED',
        'SLOW_READER',
        `the reader is ${MAX_BACKLOG} transitions behind; open the stream again`,
      ),
  );
  const current = [...table.unhealthy()];
  const stop = table.onTransition((transition) => {
    queue.push({ event: { $case: 'transition', value: transitionToMessage(transition) } });
  });
  const close = () => queue.close();
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
  try {
    for (const health of current) yield { event: { $case: 'current', value: healthToMessage(health) } };
    yield* queue;
  } finally {
    stop();
    signal.removeEventListener('abort', close);
  }
}
