// A collector that takes OTLP over gRPC and throws it away: what a process pays for telemetry is its own part of it.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { serveParent } from '../lib/child.mjs';

const EMPTY = Buffer.alloc(0);
const identity = (bytes) => bytes;

let taken = 0;
let server;
serveParent({
  start: () => {
    server = new Server();
    for (const [signal, service] of Object.entries({ trace: 'TraceService', metrics: 'MetricsService' })) {
      const path = `/opentelemetry.proto.collector.${signal}.v1.${service}/Export`;
      const plain = {
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      };
      server.addService(
        { export: { path, requestStream: false, responseStream: false, ...plain } },
        {
          export: ({ request }, callback) => {
            taken += request.length;
            callback(null, EMPTY);
          },
        },
      );
    }
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve({ endpoint: `http://127.0.0.1:${port}` }) : reject(error),
      );
    });
  },
  taken: () => taken,
  stop: () => server?.forceShutdown(),
});
