// Troupe by its public SDK: agents of nodes in processes of their own, through directory, link, mailbox and handler, with deadlines.
import { defineAgent, startNode } from 'troupe';
import { get32, lengthError, put32 } from '../lib/batched-frames.mjs';
import { serveParts } from '../lib/parts.mjs';

const LIMITS = { concurrency: 1_024, mailboxCapacity: 10_000 };
const TOPIC = 'bench.each';

/** A node with agents of one kind; resolves when all are there. */
async function nodeWith(registry, id, options, agents) {
  const kind = defineAgent({ kind: id, capabilities: [id], run: () => undefined, ...LIMITS, ...options });
  const deploy = agents.map((agent) => ({ id: agent, kind: id }));
  const node = await startNode({ id, registry: [registry], agents: [kind], deploy });
  return () => node.stop();
}

/** Another node learns of an agent a moment after it was deployed. */
async function untilReached(ask) {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return await ask();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return ask();
}

serveParts({
  server: async ({ registry }) => {
    const stop = await nodeWith(registry, 'bench-echo', { receive: (message) => message.payload.data }, ['echo-1']);
    return { stop };
  },
  client: async ({ registry }) => {
    let post;
    const start = (ctx) => {
      post = ctx;
    };
    const stop = await nodeWith(registry, 'bench-asker', { start }, ['asker-1']);
    await untilReached(() => post.request('echo-1', Buffer.alloc(1)));
    const send = (payload, done) => {
      post.request('echo-1', payload).then((reply) => done(lengthError(payload.length, reply.payload.data.length)), done);
    };
    return { send, stop };
  },
  subscribers: async ({ registry, index, count }, counter) => {
    let post;
    const options = {
      start: (ctx) => {
        post = ctx;
      },
      topics: [TOPIC],
      receive: () => counter.delivered(),
    };
    const ids = Array.from({ length: count }, (_, i) => `subscriber-${index}-${i}`);
    const stop = await nodeWith(registry, `bench-subscribers-${index}`, options, ids);
    counter.report = (publications) => {
      const report = Buffer.alloc(8);
      put32(report, 0, index);
      put32(report, 4, publications);
      void post.send('publisher-1', report);
    };
    return { info: { count }, stop };
  },
  publisher: async ({ registry, subscribers }, reported) => {
    let post;
    const options = {
      start: (ctx) => {
        post = ctx;
      },
      receive: ({ payload: { data } }) => reported(get32(data, 0), get32(data, 4)),
    };
    const stop = await nodeWith(registry, 'bench-publisher', options, ['publisher-1']);
    const all = subscribers.reduce((sum, { count }) => sum + count, 0);
    await untilReached(async () => {
      const delivered = await post.broadcast(TOPIC, Buffer.alloc(1));
      if (delivered.size < all) throw new Error(`${delivered.size} of ${all} subscribers are there`);
    });
    return { publish: (payload) => void post.broadcast(TOPIC, payload), stop };
  },
});
