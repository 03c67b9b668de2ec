import * as grpc from '@grpc/grpc-js';
import { type Clock, systemClock } from '../core/clock.js';
import { messageOf, TroupeError } from '../core/errors.js';
import type { Logger } from '../telemetry/logger.js';
import { checkHeaders, MAX_METADATA_BYTES } from './call-headers.js';
import { CallObserver, type CallTelemetry } from './call-observer.js';
import { CallsUnderWay } from './calls-under-way.js';
import { Connections } from './connections.js';
import { asGrpcHandler } from './grpc-handler.js';
import type { Handlers, ServiceDefinition } from './service.js';

export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const MAX_STREAMS_PER_CONNECTION = 4096;
/** Pings that keep a connection alive through NATs and show a dead peer. */
const KEEPALIVE_TIME_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/** Connections that were cut are gone within this. */
const CUT_MS = 500;
/** Services between processes of Troupe: not listed. */
const INTERNAL = 'troupe.internal.';

export interface RpcServerDeps extends CallTelemetry {
  readonly logger: Logger;
  /** Measures how long calls take. */
  readonly clock?: Clock;
}

/**
 * A gRPC server of one role. Handlers are plain async functions; errors are mapped in `status.ts`; hot paths may answer with encoded bytes.
 * Over grpc-js itself rather than nice-grpc's server, which hides the call's deadline and has no place for handlers that pass bytes through.
 */
export class RpcServer {
  private readonly server: grpc.Server;
  private readonly logger: Logger;
  private readonly names: string[] = [];
  private address: string | undefined;
  private readonly connections = new Connections();
  private readonly calls = new CallsUnderWay();
  private readonly telemetry: CallTelemetry | undefined;
  private readonly clock: Clock;

  constructor({ logger, metrics, tracing, clock = systemClock }: RpcServerDeps) {
    this.logger = logger;
    this.clock = clock;
    this.telemetry = metrics === undefined && tracing === undefined ? undefined : { metrics, tracing };
    // What goes wrong is thrown or answered; grpc-js would print it on the console as well.
    if (process.env.GRPC_VERBOSITY === undefined) grpc.setLogVerbosity(grpc.logVerbosity.NONE);
    this.server = new grpc.Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_metadata_size': MAX_METADATA_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // Nobody asks for these books, which are kept for every call.
      'grpc.enable_channelz': 0,
    });
  }

  /** Full names of the mounted services that are for everybody. */
  get services(): readonly string[] {
    return this.names;
  }

  mount<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>): void {
    const service: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
    const implementation: Record<string, grpc.UntypedHandleCall> = {};
    for (const [key, method] of Object.entries(definition.methods)) {
      service[key] = {
        path: `/${definition.fullName}/${method.name}`,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      };
      implementation[key] = asGrpcHandler(method, handlers[key] as never, {
        logger: this.logger,
        isConnected: (peer) => this.connections.has(peer),
        calls: this.calls,
        observer:
          this.telemetry &&
          new CallObserver(
            `${definition.fullName}/${method.name}`,
            method.requestStream || method.responseStream,
            this.telemetry,
            this.clock,
          ),
      });
    }
    this.server.addService(service, implementation);
    if (!definition.fullName.startsWith(INTERNAL) && !this.names.includes(definition.fullName))
      this.names.push(definition.fullName);
  }

  /** Mounts streams of a service whose handlers read and write bytes themselves: hot paths. What such a handler throws ends the process. */
  mountStreams(fullName: string, streams: Readonly<Record<string, grpc.handleBidiStreamingCall<Buffer, Buffer>>>): void {
    const service: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
    for (const name of Object.keys(streams)) {
      service[name] = {
        path: `/${fullName}/${name}`,
        requestStream: true,
        responseStream: true,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      };
    }
    this.server.addService(service, streams);
    if (!fullName.startsWith(INTERNAL) && !this.names.includes(fullName)) this.names.push(fullName);
  }

  /** Starts to serve. Gives the port, also where `port` was 0. @throws UNAVAILABLE / PORT_IN_USE, INVALID_ARGUMENT / CANNOT_LISTEN. */
  async listen(host: string, port: number): Promise<number> {
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    try {
      const boundTo = await new Promise<number>((resolve, reject) => {
        this.server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
          error === null ? resolve(bound) : reject(error),
        );
      });
      checkHeaders(this.server);
      this.connections.watch(this.server);
      this.address = host.includes(':') ? `[${host}]:${boundTo}` : `${host}:${boundTo}`;
      return boundTo;
    } catch (error) {
      if (/EADDRINUSE/.test(messageOf(error))) {
        throw new TroupeError(
          'UNAVAILABLE',
          'PORT_IN_USE',
          `cannot listen on ${address}: the port is in use; give another --port, or 0 for a free one`,
          { cause: error },
        );
      }
      throw new TroupeError('INVALID_ARGUMENT', 'CANNOT_LISTEN', `cannot listen on ${address}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Resolves when no call is under way but streams that read and write bytes themselves, at the latest after `timeoutMs`. */
  async quiet(timeoutMs: number): Promise<void> {
    await this.calls.none(timeoutMs);
  }

  /**
   * Takes no new calls and waits for those under way, then cuts what is left after `graceMs` (open streams never end by themselves).
   * By `drain`, not `forceShutdown`: without channelz that one leaves connections open (grpc-js 1.14).
   */
  async shutdown(graceMs: number): Promise<void> {
    if (this.address !== undefined) this.server.drain(this.address, graceMs);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs + CUT_MS);
      this.server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

const identity = (bytes: Buffer) => bytes;
