// Many attached programs in one process: clients, or agents, over a few connections; or as many plain streams, to compare with.
import grpc from '@grpc/grpc-js';
import { ConnectRequest, ConnectResponse } from '../../dist/src/gen/troupe/v1/messaging.js';
import { serveParent } from '../lib/child.mjs';

const identity = (bytes) => bytes;
const STREAMS_PER_CONNECTION = 100;
/** Said at once, so that a start does not open all in one turn. */
const AT_ONCE = 500;

let address;
let programs = [];
const clients = new Map();

function clientOf(index) {
  const connection = Math.floor(index / STREAMS_PER_CONNECTION);
  if (!clients.has(connection))
    clients.set(connection, new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }));
  return clients.get(connection);
}

const write = (stream, frame) => stream.write(Buffer.from(ConnectRequest.encode(ConnectRequest.fromPartial({ frame })).finish()));

/** Says hello, and gives the program when it is welcome. */
function attach(index, hello) {
  const stream = clientOf(index).makeBidiStreamRequest('/troupe.v1.Messaging/Connect', identity, identity);
  const program = { index, stream, received: 0n, token: '', isOver: false };
  return new Promise((resolve, reject) => {
    stream.on('error', (error) => {
      program.isOver = true;
      reject(error);
    });
    stream.on('data', (bytes) => {
      const { frame } = ConnectResponse.decode(bytes);
      if (frame?.$case === 'batch') program.received = frame.value.sequence;
      if (frame?.$case === 'ping') write(stream, { $case: 'pong', value: frame.value });
      if (frame?.$case !== 'welcome') return;
      program.token = frame.value.resumeToken;
      resolve(program);
    });
    write(stream, { $case: 'hello', value: hello });
  });
}

async function all(count, one) {
  const done = [];
  for (let from = 0; from < count; from += AT_ONCE)
    done.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => one(from + index)))));
  return done;
}

serveParent({
  start: (params) => {
    address = params.address;
  },
  /** Attaches `count` clients, or agents. Gives the milliseconds that took. */
  attach: async ({ count, agents }) => {
    const startMs = performance.now();
    const grace = { seconds: 60n, nanos: 0 };
    programs = await all(count, (index) =>
      attach(index, agents ? { agentId: `attached-${index}`, capabilities: [`attached-${index % 10}`], grace } : { grace }),
    );
    return performance.now() - startMs;
  },
  /** Breaks all streams at once, and comes back with all tokens at once. Gives how many did, and the milliseconds that took. */
  herd: async () => {
    const before = programs;
    for (const client of clients.values()) client.close();
    clients.clear();
    const startMs = performance.now();
    const back = await Promise.allSettled(
      before.map(({ index, token, received }) => attach(index, { resumeToken: token, received })),
    );
    programs = back.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    return { back: programs.length, ms: performance.now() - startMs, error: back.find(({ reason }) => reason)?.reason?.message };
  },
  /** Opens `count` streams of the health service, which do nothing. */
  plain: async ({ count }) => {
    await all(
      count,
      (index) =>
        new Promise((resolve, reject) => {
          const stream = clientOf(index).makeServerStreamRequest(
            '/grpc.health.v1.Health/Watch',
            identity,
            identity,
            Buffer.alloc(0),
          );
          stream.once('data', resolve);
          stream.on('error', reject);
        }),
    );
  },
  alive: () => programs.filter(({ isOver }) => !isOver).length,
  stop: () => {
    for (const client of clients.values()) client.close();
  },
});
