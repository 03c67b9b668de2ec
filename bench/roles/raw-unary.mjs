// A client of raw-server: the baseline.
import grpc from '@grpc/grpc-js';
import { lengthError } from '../lib/batched-frames.mjs';
import { serveParts } from '../lib/parts.mjs';

const identity = (bytes) => bytes;
const NOTHING = new grpc.Metadata();

serveParts({
  client: ({ server }) => {
    const client = new grpc.Client(server.address, grpc.credentials.createInsecure());
    const send = (payload, done) =>
      client.makeUnaryRequest('/bench.Echo/Echo', identity, identity, payload, NOTHING, {}, (error, answer) =>
        done(error ?? lengthError(payload.length, answer.length)),
      );
    return { send };
  },
});
