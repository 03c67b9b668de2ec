// NATS by its own client: request and reply; a subject with many subscriptions of a connection, or with one whose messages the process
// fans out itself (`fanOut`).
import { connect } from '@nats-io/transport-node';
import { get32, lengthError, put32 } from '../lib/batched-frames.mjs';
import { serveParts } from '../lib/parts.mjs';

const REQUEST_TIMEOUT_MS = 60_000;
const connected = async ({ broker }) => {
  const connection = await connect({ servers: broker });
  return { connection, stop: () => connection.close() };
};

serveParts({
  server: async (params) => {
    const { connection, stop } = await connected(params);
    connection.subscribe('bench.echo', { callback: (_error, message) => message.respond(message.data) });
    await connection.flush();
    return { stop };
  },
  client: async (params) => {
    const { connection, stop } = await connected(params);
    const send = (payload, done) => {
      connection
        .request('bench.echo', payload, { timeout: REQUEST_TIMEOUT_MS })
        .then((answer) => done(lengthError(payload.length, answer.data.length)), done);
    };
    return { send, stop };
  },
  subscribers: async (params, counter) => {
    const { connection, stop } = await connected(params);
    const { count, index, fanOut, subject } = params;
    const subscribers = Array.from({ length: count }, () => (_payload) => counter.delivered());
    const callbacks = fanOut ? [(payload) => subscribers.forEach((subscriber) => void subscriber(payload))] : subscribers;
    for (const take of callbacks) connection.subscribe(subject, { callback: (_error, message) => take(message.data) });
    counter.report = (publications) => {
      const report = Buffer.alloc(8);
      put32(report, 0, index);
      put32(report, 4, publications);
      connection.publish(`${subject}.reports`, report);
    };
    await connection.flush();
    return { stop };
  },
  publisher: async (params, reported) => {
    const { connection, stop } = await connected(params);
    const { subject } = params;
    const callback = (_error, { data }) => reported(get32(data, 0), get32(data, 4));
    connection.subscribe(`${subject}.reports`, { callback });
    await connection.flush();
    return { publish: (payload) => connection.publish(subject, payload), stop };
  },
});
