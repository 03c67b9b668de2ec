import { credentials } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { invalidArgument, isTroupeError } from '../core/errors.js';
import { type EtcdCallOptions, EtcdEndpoint } from './etcd-endpoint.js';
import { isEndpointFailure, isTokenRefused, toStoreError, wasNotSent } from './etcd-errors.js';
import { storeClosed } from './store-errors.js';

export interface EtcdOptions {
  /** `host:port`, `http://host:port` or `https://host:port`, at least one; all with TLS or all without. */
  readonly endpoints: readonly string[];
  /** Both or neither. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM. Without it, https endpoints are checked against the system's authorities. */
  readonly tls?: EtcdTls | undefined;
  /** How old a connection attempt may grow before it is begun anew; default 5,000. */
  readonly dialTimeoutMs?: number | undefined;
  /** How long etcd may take to answer a call; default 5,000. */
  readonly requestTimeoutMs?: number | undefined;
}

export interface EtcdTls {
  readonly ca: Buffer;
  /** With `key`: this client's own certificate. */
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/**
 * Stays with one endpoint as long as that answers, then goes on to the next. A call is repeated on another endpoint where
 * doing it twice does no harm: reads, and what certainly was not sent.
 */
export class EtcdConnection {
  private readonly endpoints: readonly EtcdEndpoint[];
  readonly requestTimeoutMs: number;
  private readonly hasUser: boolean;
  private index = 0;
  private ended = false;

  /** Connects on first use. @throws TroupeError INVALID_ARGUMENT */
  constructor(clock: Clock, options: EtcdOptions) {
    const { addresses, secure } = parseEndpoints(options);
    if ((options.username === undefined) !== (options.password === undefined)) {
      throw invalidArgument('password', 'username and password must be given together');
    }
    const { username, password } = options;
    const shared = {
      credentials: secure
        ? credentials.createSsl(options.tls?.ca ?? null, options.tls?.key ?? null, options.tls?.cert ?? null)
        : credentials.createInsecure(),
      user: username === undefined || password === undefined ? undefined : { username, password },
      dialTimeoutMs: options.dialTimeoutMs ?? 5_000,
      requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
    };
    this.hasUser = shared.user !== undefined;
    this.requestTimeoutMs = shared.requestTimeoutMs;
    this.endpoints = addresses.map((address) => new EtcdEndpoint(clock, { address, ...shared }));
  }

  get closed(): boolean {
    return this.ended;
  }

  /** The endpoint in use. @throws TroupeError UNAVAILABLE / STORE_UNAVAILABLE after `close`. */
  endpoint(): EtcdEndpoint {
    const endpoint = this.endpoints[this.index];
    if (this.ended || endpoint === undefined) throw storeClosed();
    return endpoint;
  }

  /** To be told when `endpoint` did not answer: the next call goes to another. */
  leave(endpoint: EtcdEndpoint): void {
    endpoint.onSilence();
    if (this.endpoints[this.index] === endpoint) this.index = (this.index + 1) % this.endpoints.length;
  }

  /** A new login may help; whoever streams tries again, as calls do. */
  canLogInAgain(error: unknown): boolean {
    return this.hasUser && isTokenRefused(error);
  }

  /** Each endpoint gets its share of the request timeout. */
  read<T>(call: (endpoint: EtcdEndpoint, options: EtcdCallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.run(call, { signal, shares: this.endpoints.length, repeatable: () => true });
  }

  write<T>(call: (endpoint: EtcdEndpoint, options: EtcdCallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.run(call, { signal, shares: 1, repeatable: wasNotSent });
  }

  close(): void {
    this.ended = true;
    for (const endpoint of this.endpoints) endpoint.close();
  }

  /** @throws TroupeError as the port says. */
  private async run<T>(
    call: (endpoint: EtcdEndpoint, options: EtcdCallOptions) => Promise<T>,
    { signal, shares, repeatable }: { signal: AbortSignal | undefined; shares: number; repeatable: (error: unknown) => boolean },
  ): Promise<T> {
    // By Date.now(), as grpc-js does.
    const endMs = Date.now() + this.requestTimeoutMs;
    let tokenRefused = false;
    for (let tried = 1; ; tried++) {
      const endpoint = this.endpoint();
      try {
        const now = Date.now();
        return await call(endpoint, { signal, deadline: now + (endMs - now) / Math.max(shares - tried + 1, 1) });
      } catch (error) {
        if (isTroupeError(error)) throw error;
        if (!tokenRefused && this.canLogInAgain(error)) {
          tokenRefused = true;
          continue;
        }
        if (!isEndpointFailure(error)) throw toStoreError(error);
        this.leave(endpoint);
        if (tried >= this.endpoints.length || !repeatable(error)) throw toStoreError(error);
      }
    }
  }
}

function parseEndpoints({ endpoints, tls }: EtcdOptions): { addresses: readonly string[]; secure: boolean } {
  if (endpoints.length === 0) throw invalidArgument('endpoints', 'must name at least one etcd, such as http://127.0.0.1:2379');
  const secure = new Set<boolean>();
  const addresses = endpoints.map((endpoint) => {
    const match = /^(?:(https?):\/\/)?([^/\s]+:\d{1,5})\/?$/.exec(endpoint);
    if (match?.[2] === undefined) throw invalidArgument('endpoints', `must be host:port or http(s)://host:port: ${endpoint}`);
    secure.add(match[1] === undefined ? tls !== undefined : match[1] === 'https');
    return match[2];
  });
  if (secure.size > 1) throw invalidArgument('endpoints', 'must all be https or all http');
  if (tls !== undefined && !secure.has(true)) throw invalidArgument('endpoints', 'must be https when TLS files are given');
  return { addresses, secure: secure.has(true) };
}
