// The bare tuned stream: one bidirectional stream of grpc-js with batched frames, and nothing of a runtime. What a runtime on top of
// such streams can at best come to. Broadcast: one copy for each process, fanned out there.
import { FrameWriter, lengthError, PendingCalls, readFrame } from '../lib/batched-frames.mjs';
import { openStream, serveStreams } from '../lib/grpc-stream.mjs';
import { serveParts } from '../lib/parts.mjs';

const NOTHING = Buffer.alloc(0);
const writerTo = (stream) => new FrameWriter((bytes, taken) => stream.write(bytes, taken));

serveParts({
  server: async () => {
    const address = await serveStreams((stream) => {
      const writer = writerTo(stream);
      const echo = (number, frame, from, to) => writer.add(number, frame, from, to);
      stream.on('data', (frame) => readFrame(frame, echo));
    });
    return { info: { address } };
  },
  client: ({ server }) => {
    const stream = openStream(server.address);
    const writer = writerTo(stream);
    const pending = new PendingCalls();
    let expected;
    const answered = (number, _frame, from, to) => pending.take(number)(lengthError(expected, to - from));
    stream.on('data', (frame) => readFrame(frame, answered));
    const send = (payload, done) => {
      expected = payload.length;
      writer.add(pending.add(done), payload, 0, payload.length);
    };
    return { send };
  },
  subscribers: async ({ count }, counter) => {
    const subscribers = Array.from({ length: count }, () => (_payload) => counter.delivered());
    const address = await serveStreams((stream) => {
      const writer = writerTo(stream);
      counter.report = (publications) => writer.add(publications, NOTHING, 0, 0);
      const fanOut = (_number, frame, from, to) => {
        const payload = frame.subarray(from, to);
        for (const subscriber of subscribers) subscriber(payload);
      };
      stream.on('data', (frame) => readFrame(frame, fanOut));
    });
    return { info: { address } };
  },
  publisher: ({ subscribers }, reported) => {
    const writers = subscribers.map(({ address }, index) => {
      const stream = openStream(address);
      stream.on('data', (frame) => readFrame(frame, (publications) => reported(index, publications)));
      return writerTo(stream);
    });
    const publish = (payload) => {
      for (const writer of writers) writer.add(0, payload, 0, payload.length);
    };
    return { publish };
  },
});
