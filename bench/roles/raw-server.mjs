// The baseline: a grpc-js server that echoes the bytes of a unary call, and nothing else.
import grpc from '@grpc/grpc-js';
import { serveParent } from '../lib/child.mjs';

const identity = (bytes) => bytes;
const server = new grpc.Server();
server.addService(
  {
    echo: {
      path: '/bench.Echo/Echo',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  { echo: (call, callback) => callback(null, call.request) },
);

serveParent({
  start: async () => {
    const port = await new Promise((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    return { address: `127.0.0.1:${port}` };
  },
});
