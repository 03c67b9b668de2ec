import {
  type CallOptions,
  Channel,
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientDuplexStream,
  connectivityState,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse, IWatchRequest, IWatchResponse } from 'etcd3';
import { AuthClient, type ICallable, KVClient, LeaseClient, WatchClient } from 'etcd3';
import type { Clock } from '../core/clock.js';
import { abortError } from '../core/errors.js';
import { isTokenRefused } from './etcd-errors.js';
import { type EtcdService, etcdMethod, etcdServiceClass, type ServiceClient } from './etcd-protocol.js';
import { EtcdToken } from './etcd-token.js';
import { storeClosed } from './store-errors.js';

export interface EtcdEndpointOptions {
  /** `host:port`. */
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly user: { readonly username: string; readonly password: string } | undefined;
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** What etcd3's clients pass on to `exec`. */
export interface EtcdCallOptions extends CallOptions {
  readonly signal?: AbortSignal | undefined;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  // A dead connection is noticed within 15 s even when nothing is said. etcd cuts off who pings more often than each 5 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.service_config_disable_resolution': 1,
  // Or a new channel would be given the stuck connection attempt of the one that it replaces.
  'grpc.use_local_subchannel_pool': 1,
};

/**
 * One etcd address, under etcd3's own KV, lease and watch clients, in the place of etcd3's connection pool: that one
 * closes every channel when any call fails, cannot stop a call, leaves its login's connection open, and keeps an expired
 * token on streams. Here nothing is retried and errors are as grpc-js gives them; `EtcdConnection` decides.
 */
export class EtcdEndpoint implements ICallable<EtcdEndpoint> {
  readonly kv = new KVClient(this);
  readonly lease = new LeaseClient(this);
  readonly callOptionsFactory = undefined;
  private readonly watchClient = new WatchClient(this);
  private readonly token: EtcdToken | undefined;
  private readonly running = new Set<{ cancel(): void }>();
  private closed = false;
  private channel: Channel;
  private dialedAtMs: number;
  private clients = new Map<EtcdService, ServiceClient>();

  constructor(
    private readonly clock: Clock,
    private readonly options: EtcdEndpointOptions,
  ) {
    const { user } = options;
    if (user !== undefined) this.token = new EtcdToken(() => this.logIn(user.username, user.password));
    this.channel = this.makeChannel();
    this.dialedAtMs = clock.monotonicMs();
  }

  get address(): string {
    return this.options.address;
  }

  openWatch(): Promise<ClientDuplexStream<IWatchRequest, IWatchResponse>> {
    return this.openStream(() => this.watchClient.watch());
  }

  openKeepAlive(): Promise<ClientDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>> {
    return this.openStream(() => this.lease.leaseKeepAlive());
  }

  /** A unary call. It ends by `options.deadline` (default: the request timeout), and at once when `options.signal` aborts. */
  async exec<T>(service: EtcdService, method: string, payload: unknown, options: EtcdCallOptions = {}): Promise<T> {
    // The only service that is called without a token is the one that gives it.
    const token = service === 'Auth' ? undefined : await this.token?.get(options.signal);
    try {
      return await this.unary<T>(service, method, payload, { ...options, metadata: metadataOf(token) });
    } catch (error) {
      if (isTokenRefused(error)) this.token?.refused(token);
      throw error;
    }
  }

  /** For etcd3's streams. A member without a leader ends them, instead of leaving them quiet (`hasleader`). */
  async withConnection<R>(
    service: EtcdService,
    open: (args: { resource: EtcdEndpoint; client: Client; metadata: Metadata }) => Promise<R> | R,
  ): Promise<R> {
    const metadata = metadataOf(await this.token?.get());
    metadata.set('hasleader', 'true');
    return open({ resource: this, client: this.client(service), metadata });
  }

  /** etcd3's clients say that a stream failed; whoever reads the stream sees that itself. */
  markFailed(): void {}

  /** To be told what ended a stream. */
  onStreamError(error: unknown): void {
    if (isTokenRefused(error)) this.token?.refused();
  }

  /**
   * To be told when nothing came back in time. A connection attempt older than the dial timeout is then given up and
   * begun anew: grpc-js waits as long as the system repeats a lost SYN, up to a minute after the network is whole.
   */
  onSilence(): void {
    if (this.closed || this.clock.monotonicMs() - this.dialedAtMs < this.options.dialTimeoutMs) return;
    if (this.channel.getConnectivityState(false) === connectivityState.READY) return;
    this.channel.close();
    this.channel = this.makeChannel();
    this.dialedAtMs = this.clock.monotonicMs();
    this.clients = new Map();
  }

  /** Cancels what runs and closes the connection. */
  close(): void {
    this.closed = true;
    for (const call of this.running) call.cancel();
    this.channel.close();
  }

  private async logIn(name: string, password: string): Promise<string> {
    const { token } = await new AuthClient(this).authenticate({ name, password });
    return token;
  }

  private unary<T>(
    service: EtcdService,
    method: string,
    payload: unknown,
    { metadata, signal, ...options }: EtcdCallOptions & { readonly metadata: Metadata },
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(abortError(signal));
      const client = this.client(service);
      const definition = etcdMethod(service, method);
      // grpc-js compares deadlines with Date.now(), so this is no place for an injected clock.
      const deadline = options.deadline ?? Date.now() + this.options.requestTimeoutMs;
      const call = client.makeUnaryRequest<unknown, T>(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        payload,
        metadata,
        { deadline },
        (error: ServiceError | null, answer?: T) => {
          this.running.delete(call);
          signal?.removeEventListener('abort', onAbort);
          if (answer !== undefined && error === null) resolve(answer);
          else if (signal?.aborted) reject(abortError(signal));
          else reject(this.closed ? storeClosed() : error);
        },
      );
      const onAbort = () => call.cancel();
      this.running.add(call);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** `open` gives a stream of grpc-js, of which etcd3's type shows a part. */
  private async openStream<Request, Answer>(open: () => Promise<unknown>): Promise<ClientDuplexStream<Request, Answer>> {
    const stream = (await open()) as ClientDuplexStream<Request, Answer>;
    this.running.add(stream);
    // Besides the reader's own: an error after the reader has left must not be an unhandled one.
    stream.on('error', () => undefined);
    stream.on('status', () => this.running.delete(stream));
    if (this.closed) stream.cancel();
    return stream;
  }

  private client(service: EtcdService): ServiceClient {
    if (this.closed) throw storeClosed();
    let client = this.clients.get(service);
    if (client === undefined) {
      const ServiceClient = etcdServiceClass(service);
      client = new ServiceClient(this.options.address, this.options.credentials, { channelOverride: this.channel });
      this.clients.set(service, client);
    }
    return client;
  }

  private makeChannel(): Channel {
    return new Channel(this.options.address, this.options.credentials, CHANNEL_OPTIONS);
  }
}

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('token', token);
  return metadata;
}
