import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3';
import { abortable } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { abortError } from '../core/errors.js';
import type { EtcdConnection } from './etcd-connection.js';
import type { EtcdEndpoint } from './etcd-endpoint.js';
import { isEndpointFailure, toStoreError } from './etcd-errors.js';
import { leaseNotFound, storeClosed, storeUnavailable } from './store-errors.js';

/**
 * Renews all leases over one stream, opened on first use and again after it failed. When one answer does not come in time the
 * whole stream is given up, for etcd answers in order: what waits behind would not come either.
 */
export class EtcdKeepAlive {
  private stream: Promise<RenewalStream> | undefined;

  constructor(
    private readonly connection: EtcdConnection,
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {}

  /** The lease's length in seconds. @throws TroupeError as `Leases.renew` says. */
  async renew(leaseId: bigint, signal?: AbortSignal): Promise<number> {
    if (signal?.aborted) throw abortError(signal);
    const answer = this.open().then((stream) => stream.renew(leaseId));
    return signal === undefined ? answer : abortable(answer, signal);
  }

  private open(): Promise<RenewalStream> {
    this.stream ??= this.start();
    return this.stream;
  }

  private async start(): Promise<RenewalStream> {
    try {
      const endpoint = this.connection.endpoint();
      const stream = await endpoint.openKeepAlive();
      return new RenewalStream(stream, {
        clock: this.clock,
        timeoutMs: this.timeoutMs,
        onEnd: (cause) => this.onEnd(endpoint, cause),
      });
    } catch (error) {
      this.stream = undefined;
      throw toStoreError(error);
    }
  }

  private onEnd(endpoint: EtcdEndpoint, cause: EndOfStream): Error {
    this.stream = undefined;
    if (this.connection.closed) return storeClosed();
    if (cause.kind === 'silent') {
      this.connection.leave(endpoint);
      return storeUnavailable(`etcd did not answer a renewal within ${this.timeoutMs} ms`);
    }
    endpoint.onStreamError(cause.error);
    if (isEndpointFailure(cause.error)) this.connection.leave(endpoint);
    // Whatever ended the stream says nothing about any one lease.
    return storeUnavailable(`the renewals were cut off: ${toStoreError(cause.error).message}`, cause.error);
  }
}

type EndOfStream = { readonly kind: 'silent' } | { readonly kind: 'failed'; readonly error: unknown };

interface Waiting {
  readonly resolve: (ttlSeconds: number) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimer: () => void;
}

interface RenewalStreamOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Called once. Gives what those who wait are told. */
  readonly onEnd: (cause: EndOfStream) => Error;
}

/** One stream's life. */
class RenewalStream {
  /** Oldest first. Who no longer waits keeps its place, or the next would get its, older, answer. */
  private readonly waiting = new Map<bigint, Waiting[]>();
  private ended: Error | undefined;

  constructor(
    private readonly stream: ClientDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>,
    private readonly options: RenewalStreamOptions,
  ) {
    stream.on('data', (answer: ILeaseKeepAliveResponse) => this.onAnswer(BigInt(answer.ID), Number(answer.TTL)));
    stream.on('error', (error: Error) => this.end({ kind: 'failed', error }));
    stream.on('end', () => this.end({ kind: 'failed', error: new Error('etcd ended the stream') }));
  }

  renew(leaseId: bigint): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) return reject(this.ended);
      const { clock, timeoutMs } = this.options;
      const cancelTimer = clock.after(timeoutMs, () => this.end({ kind: 'silent' }));
      const queue = this.waiting.get(leaseId);
      const waiting = { resolve, reject, cancelTimer };
      if (queue === undefined) this.waiting.set(leaseId, [waiting]);
      else queue.push(waiting);
      this.stream.write({ ID: leaseId.toString() });
    });
  }

  private onAnswer(leaseId: bigint, ttlSeconds: number): void {
    const queue = this.waiting.get(leaseId);
    const first = queue?.shift();
    if (queue?.length === 0) this.waiting.delete(leaseId);
    if (first === undefined) return;
    first.cancelTimer();
    if (ttlSeconds > 0) first.resolve(ttlSeconds);
    else first.reject(leaseNotFound(leaseId));
  }

  private end(cause: EndOfStream): void {
    if (this.ended !== undefined) return;
    const error = this.options.onEnd(cause);
    this.ended = error;
    this.stream.cancel();
    for (const queue of this.waiting.values()) {
      for (const { cancelTimer, reject } of queue) {
        cancelTimer();
        reject(error);
      }
    }
    this.waiting.clear();
  }
}
