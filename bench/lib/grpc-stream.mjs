// A bidirectional stream of bytes by plain grpc-js: no generated code, serializers that do nothing.
import grpc from '@grpc/grpc-js';

const identity = (bytes) => bytes;
const PATH = '/bench.Stream/Open';
/** More than the default 64 KiB doubles the throughput of 16 KiB messages; far above this, two ends that both write can deadlock. */
const WINDOW_BYTES = 1024 * 1024;

/** Serves it on a free port: `onStream(stream)` for each that is opened. Gives the address. */
export async function serveStreams(onStream) {
  const server = new grpc.Server();
  const method = { path: PATH, requestStream: true, responseStream: true };
  const serializers = {
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService({ open: { ...method, ...serializers } }, { open: onStream });
  const port = await new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  // The server ignores the option that the client has for it.
  for (const http2Server of Reflect.get(server, 'http2Servers').keys()) {
    http2Server.on('session', (session) => {
      session.settings({ initialWindowSize: WINDOW_BYTES });
      session.setLocalWindowSize(WINDOW_BYTES);
    });
  }
  return `127.0.0.1:${port}`;
}

export function openStream(address) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc-node.flow_control_window': WINDOW_BYTES });
  return client.makeBidiStreamRequest(PATH, identity, identity, new grpc.Metadata(), {});
}
