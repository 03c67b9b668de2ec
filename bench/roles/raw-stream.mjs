// One bidirectional stream of grpc-js, a write for each message: its number and the payload.
import { get32, lengthError, PendingCalls, put32 } from '../lib/batched-frames.mjs';
import { openStream, serveStreams } from '../lib/grpc-stream.mjs';
import { serveParts } from '../lib/parts.mjs';

const NUMBER_BYTES = 4;

serveParts({
  server: async () => {
    const address = await serveStreams((stream) => stream.on('data', (message) => stream.write(message)));
    return { info: { address } };
  },
  client: ({ server }) => {
    const stream = openStream(server.address);
    const pending = new PendingCalls();
    let expected;
    stream.on('data', (message) => pending.take(get32(message, 0))(lengthError(expected, message.length - NUMBER_BYTES)));
    const send = (payload, done) => {
      expected = payload.length;
      const message = Buffer.allocUnsafe(NUMBER_BYTES + payload.length);
      put32(message, 0, pending.add(done));
      payload.copy(message, NUMBER_BYTES);
      stream.write(message);
    };
    return { send };
  },
});
