// Agents that talk to others as a test says, and those that listen. Plain JavaScript against the built package.
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { defineAgent, TroupeError } from 'troupe';

const endOf = (promise) =>
  promise.then(
    () => 'done',
    (error) => `${error.code}/${error.reason}`,
  );

function tally(ends) {
  const counts = {};
  for (const end of ends) counts[end] = (counts[end] ?? 0) + 1;
  return counts;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

/** What this process holds, garbage left out. */
function heldBytes() {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const does = {
  /** Sends numbered messages, all at once; of `large` each tenth. */
  async send(ctx, { to, count = 1, size = 0, large = 0, options }) {
    const sent = Array.from({ length: count }, (_, n) =>
      endOf(ctx.send(to, { n, filler: 'x'.repeat(n % 10 === 9 && large > 0 ? large : size) }, options)),
    );
    return tally(await Promise.all(sent));
  },
  async request(ctx, { to, payload, options }) {
    const startedAt = performance.now();
    const reply = await ctx.request(to, payload, options);
    return { from: reply.from, answer: reply.json(), ms: performance.now() - startedAt };
  },
  /** Asks and stops waiting after `ms`. */
  async cancel(ctx, { to, payload, ms }) {
    return { end: await endOf(ctx.request(to, payload, { signal: AbortSignal.timeout(ms) })) };
  },
  async stream(ctx, { to, payload }) {
    const stream = ctx.stream(to, payload);
    const parts = [];
    let next = await stream.next();
    for (; next.done !== true; next = await stream.next()) parts.push(next.value.json());
    return { parts, answer: next.value.json() };
  },
  async broadcast(ctx, { topic, payload }) {
    return Object.fromEntries(await ctx.broadcast(topic, payload));
  },
  /** Sends as much as goes until `ms` have passed, and tells what that took of memory beyond what it took before. */
  async flood(ctx, { to, size, burst, ms, timeoutMs }) {
    const before = heldBytes();
    const ends = {};
    let sent = 0;
    const payload = 'x'.repeat(size);
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs) {
      for (let n = 0; n < burst; n++) {
        sent += 1;
        void endOf(ctx.send(to, payload, { timeoutMs })).then((end) => {
          ends[end] = (ends[end] ?? 0) + 1;
        });
      }
      await delay(1);
    }
    collect();
    // What was collected is given back by another thread, which on a busy machine takes a moment: until then it counts.
    await delay(300);
    return { sent, ends: { ...ends }, heldBytes: heldBytes() - before };
  },
};

/** Does what its tasks say. */
export const talker = defineAgent({
  kind: 'talker',
  capabilities: ['talking'],
  concurrency: 1_000,
  mailboxCapacity: 10_000,
  run: (task, ctx) => {
    const { do: what, ...how } = task.json();
    return does[what](ctx, how);
  },
});

/** Keeps the numbers of the messages that it gets, and takes `config.ms` for each; answers requests as they say. */
export const listener = defineAgent({
  kind: 'listener',
  capabilities: ['listening'],
  concurrency: 1,
  mailboxCapacity: 100_000,
  config: { parse: (value) => ({ ms: 0, topics: [], ...value }) },
  start: async (ctx) => {
    for (const topic of ctx.config.topics) await ctx.subscribe(topic);
    return { numbers: [], topics: [], aborted: [] };
  },
  receive: async (message, ctx) => {
    const { state, config } = ctx;
    const content = message.json();
    if (message.kind === 'send') {
      if (config.ms > 0) await delay(config.ms);
      state.numbers.push(content.n);
      if (message.topic !== '') state.topics.push(message.topic);
      return undefined;
    }
    switch (content.do) {
      case 'fail':
        throw new TroupeError('FAILED_PRECONDITION', 'NO_MODEL', 'train it first', { metadata: { model: 'm' } });
      case 'parts':
        for (let n = 0; n < content.parts; n++) await ctx.emit(n);
        return { end: true };
      case 'wait':
        await delay(content.ms, undefined, { signal: ctx.signal }).catch(() => {
          state.aborted.push(ctx.signal.reason.code);
          throw ctx.signal.reason;
        });
        return { waited: true };
      default:
        return { node: ctx.nodeId, n: content.n ?? null, remainingMs: ctx.remainingMs() };
    }
  },
  run: (_task, ctx) => ctx.state,
});
