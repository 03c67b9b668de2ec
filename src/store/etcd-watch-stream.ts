import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { IWatchRequest, IWatchResponse } from 'etcd3';
import type { Clock } from '../core/clock.js';
import { abortError } from '../core/errors.js';
import type { EtcdConnection } from './etcd-connection.js';
import { prefixRange } from './etcd-encoding.js';
import type { EtcdEndpoint } from './etcd-endpoint.js';
import { isEndpointFailure, toStoreError } from './etcd-errors.js';
import { RevisionGroups } from './revision-groups.js';
import type { WatchEvent } from './store.js';
import { compacted, storeUnavailable } from './store-errors.js';
import { WatchPulse } from './watch-pulse.js';

/** One stream's life: ends with an error when it is cut off, refused, compacted or silent. */
export class EtcdWatchStream {
  private readonly groups: RevisionGroups;
  /** Revision of the store when the watch was created: after it, nothing is left to catch up. */
  private createdRevision: bigint | undefined;

  constructor(
    private readonly dependencies: { readonly connection: EtcdConnection; readonly clock: Clock },
    private readonly prefix: string,
    private readonly afterRevision: bigint,
  ) {
    this.groups = new RevisionGroups(afterRevision);
  }

  /** To be called once. @throws TroupeError; UNAVAILABLE when another stream may go on from the last delivered revision. */
  async *read(signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    const { connection, clock } = this.dependencies;
    const endpoint = connection.endpoint();
    const stream = await openUnlessAborted(endpoint, signal);
    const pulse = new WatchPulse(clock, {
      probe: () => stream.write({ progress_request: {} }),
      onSilence: () => stream.cancel(),
    });
    const onAbort = () => stream.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      stream.write({ create_request: { ...prefixRange(this.prefix), start_revision: this.startRevision(), fragment: true } });
      const answers = stream.iterator({ destroyOnReturn: false });
      for (;;) {
        const next = await pulse.awaiting(answers.next());
        if (next.done) throw storeUnavailable('etcd ended the watch');
        yield* await this.onAnswer(next.value as IWatchResponse, pulse, signal);
      }
    } catch (error) {
      if (pulse.silent || isEndpointFailure(error)) connection.leave(endpoint);
      endpoint.onStreamError(error);
      throw pulse.silent ? storeUnavailable('etcd did not answer on the watch', error) : error;
    } finally {
      pulse.stop();
      signal.removeEventListener('abort', onAbort);
      stream.cancel();
    }
  }

  private async onAnswer(answer: IWatchResponse, pulse: WatchPulse, signal: AbortSignal): Promise<readonly WatchEvent[]> {
    if (answer.canceled) throw cancelError(answer);
    if (answer.created) {
      await this.checkPosition(signal);
      this.createdRevision = BigInt(answer.header.revision);
      pulse.start({ caughtUp: this.afterRevision >= this.createdRevision });
      return [];
    }
    if (answer.events.length === 0) return pulse.onAnswer() ? [{ kind: 'alive' }] : [];
    const groups = this.groups.add(answer.events, answer.fragment);
    const last = groups.at(-1);
    pulse.onEvents({ caughtUp: last !== undefined && last.revision > (this.createdRevision ?? 0n) });
    return groups.map((group) => ({ kind: 'changes', ...group }));
  }

  /**
   * From the last revision that is known, not the one after it: from 3.5.8 on etcd answers no probe of a watch that starts in
   * the future, which on a quiet store is where it would start. `groups` drops what comes twice.
   */
  private startRevision(): string {
    return String(this.afterRevision === 0n ? 1n : this.afterRevision);
  }

  /**
   * Reads at the revision from which the watch goes on. etcd waits in silence for a revision that it has not reached, which
   * after a restore from a backup would hide every change; and a deletion at the very revision of a compaction is
   * lost to watches in older versions. Both show here, and are a reason to list again.
   */
  private async checkPosition(signal: AbortSignal): Promise<void> {
    if (this.afterRevision === 0n) return;
    const request = { key: prefixRange(this.prefix).key, revision: String(this.afterRevision), count_only: true };
    await this.dependencies.connection.read(({ kv }, options) => kv.range(request, options), signal);
  }
}

async function openUnlessAborted(
  endpoint: EtcdEndpoint,
  signal: AbortSignal,
): Promise<ClientDuplexStream<IWatchRequest, IWatchResponse>> {
  const stream = await endpoint.openWatch();
  if (!signal.aborted) return stream;
  stream.cancel();
  throw abortError(signal);
}

function cancelError(answer: IWatchResponse): Error {
  if (answer.compact_revision !== '0') return compacted();
  const error = toStoreError(new Error(answer.cancel_reason));
  return error.code === 'INTERNAL' ? storeUnavailable(error.message, error) : error;
}
