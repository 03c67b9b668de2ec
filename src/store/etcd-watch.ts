import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type BackoffPolicy, backoffMs } from '../resilience/backoff.js';
import type { Logger } from '../telemetry/logger.js';
import type { EtcdConnection } from './etcd-connection.js';
import { toStoreError } from './etcd-errors.js';
import { EtcdWatchStream } from './etcd-watch-stream.js';
import type { WatchEvent } from './store.js';
import { storeClosed } from './store-errors.js';

const RECONNECT: BackoffPolicy = { initialMs: 50, capMs: 1_000 };

export interface WatchDependencies {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * A watch that outlives its streams: each new one starts right after the last revision that was *delivered*. Nothing else
 * is trusted: while etcd catches a watcher up, the revisions in its answers' headers run ahead of the events.
 */
export async function* watchPrefix(
  dependencies: WatchDependencies,
  prefix: string,
  { afterRevision, signal }: { readonly afterRevision: bigint; readonly signal: AbortSignal },
): AsyncGenerator<WatchEvent, void, undefined> {
  const { connection, clock, random, logger } = dependencies;
  let position = afterRevision;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const stream = new EtcdWatchStream({ connection, clock }, prefix, position);
      for await (const event of stream.read(signal)) {
        if (failures > 0) logger.info('store watch goes on', { prefix, failures });
        failures = 0;
        if (event.kind === 'changes') position = event.revision;
        yield event;
      }
    } catch (cause) {
      if (signal.aborted) return;
      if (connection.closed) throw storeClosed();
      const error = toStoreError(cause);
      if (error.code !== 'UNAVAILABLE' && !connection.canLogInAgain(error.cause)) throw error;
      failures += 1;
      if (failures === 1) logger.warn('store watch cut off', { prefix, afterRevision: String(position), reason: error.message });
      await delay(backoffMs(failures, RECONNECT, random), signal, clock).catch(() => undefined);
    }
  }
}
