import { type Channel, Client, credentials, type Metadata } from '@grpc/grpc-js';
import { InstanceKey } from '../../../src/gen/troupe/v1/registry.js';
import { openChannel } from '../../../src/rpc/channels.js';
import { RpcServer } from '../../../src/rpc/server.js';
import type { Handlers } from '../../../src/rpc/service.js';
import { recordingLogger as newLogger, type recordingLogger } from '../../support/recording-logger.js';

const message = { requestType: InstanceKey, responseType: InstanceKey, options: {} } as const;

/** A service with a method of each kind, on a message of two strings. */
export const EchoDefinition = {
  name: 'Echo',
  fullName: 'test.Echo',
  methods: {
    unary: { name: 'Unary', requestStream: false, responseStream: false, ...message },
    serverStream: { name: 'ServerStream', requestStream: false, responseStream: true, ...message },
    bidi: { name: 'Bidi', requestStream: true, responseStream: true, ...message },
  },
} as const;

export type EchoHandlers = Handlers<typeof EchoDefinition>;

export const UNARY = '/test.Echo/Unary';
export const SERVER_STREAM = '/test.Echo/ServerStream';
export const BIDI = '/test.Echo/Bidi';

const untouched: EchoHandlers = {
  unary: (request) => request,
  async *serverStream(request) {
    yield request;
  },
  async *bidi(requests) {
    yield* requests;
  },
};

export interface EchoServer {
  readonly server: RpcServer;
  readonly port: number;
  readonly address: string;
  readonly logger: ReturnType<typeof recordingLogger>;
  readonly channel: Channel;
  /** A client on bytes, without any of our own code. */
  readonly client: Client;
  close(): Promise<void>;
}

/** An echo server on a free port, some of its handlers replaced, and a client on it. */
export async function startEcho(
  handlers: Partial<EchoHandlers> = {},
  mount: (server: RpcServer) => void = () => undefined,
): Promise<EchoServer> {
  const logger = newLogger();
  const server = new RpcServer({ logger });
  server.mount(EchoDefinition, { ...untouched, ...handlers });
  mount(server);
  const port = await server.listen('127.0.0.1', 0);
  const address = `127.0.0.1:${port}`;
  const channel = openChannel(address);
  const client = new Client(address, credentials.createInsecure(), { channelOverride: channel });
  return {
    server,
    port,
    address,
    logger,
    channel,
    client,
    close: async () => {
      channel.close();
      await server.shutdown(0);
    },
  };
}

export const identity = (bytes: Buffer): Buffer => bytes;

export function encodeKey(service: string, id = ''): Buffer {
  return Buffer.from(InstanceKey.encode({ service, id }).finish());
}

/** A unary call on bytes; rejects with grpc-js's own error. */
export function callUnary(
  client: Client,
  bytes: Buffer,
  options: { readonly path?: string; readonly metadata?: Metadata; readonly deadline?: number } = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, response?: Buffer) => (error === null && response ? resolve(response) : reject(error));
    const callOptions = options.deadline === undefined ? {} : { deadline: options.deadline };
    if (options.metadata === undefined)
      client.makeUnaryRequest(options.path ?? UNARY, identity, identity, bytes, callOptions, done);
    else client.makeUnaryRequest(options.path ?? UNARY, identity, identity, bytes, options.metadata, callOptions, done);
  });
}
