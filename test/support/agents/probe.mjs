// Agents that tell what reached them and do what a test says. Plain JavaScript against the built package, as a user writes it.
import { setTimeout as delay } from 'node:timers/promises';
import { defineAgent, TroupeError } from 'troupe';

export { listener, talker } from './talker.mjs';

/** Answers with what it was given and what it knows. */
export const echo = defineAgent({
  kind: 'echo',
  capabilities: ['echo'],
  concurrency: 100,
  mailboxCapacity: 1000,
  run: (task, ctx) => ({
    agent: ctx.agentId,
    node: ctx.nodeId,
    pid: process.pid,
    attempt: task.attempt,
    traceparent: ctx.traceparent ?? null,
    remainingMs: ctx.remainingMs(),
    input: task.payload.kind === 'json' ? task.json() : null,
  }),
});

/** Works for `ms`, unless it is called off. */
export const worker = defineAgent({
  kind: 'worker',
  capabilities: ['work'],
  concurrency: 100,
  mailboxCapacity: 1000,
  run: async (task, ctx) => {
    const { ms } = task.json();
    await delay(ms, undefined, { signal: ctx.signal });
    return { node: ctx.nodeId, attempt: task.attempt };
  },
});

/** Streams a chunk each 20 ms until it is called off. */
export const ticker = defineAgent({
  kind: 'ticker',
  capabilities: ['tick'],
  concurrency: 10,
  run: async (_task, ctx) => {
    for (let tick = 1; ; tick++) {
      await ctx.emit({ tick });
      await delay(20, undefined, { signal: ctx.signal });
    }
  },
});

/** Streams `chunks` numbered chunks, then says that it is half done, and answers. */
export const streamer = defineAgent({
  kind: 'streamer',
  capabilities: ['streaming'],
  run: async (task, ctx) => {
    const { chunks } = task.json();
    for (let n = 0; n < chunks; n++) await ctx.emit({ n });
    await ctx.progress(0.5, 'half');
    return { chunks };
  },
});

/** Takes only a positive `size`. */
export const picky = defineAgent({
  kind: 'picky',
  capabilities: ['pickiness'],
  config: {
    parse: (value) => {
      if (!(value.size > 0)) throw new Error('size must be positive');
      return value;
    },
  },
  run: (_task, ctx) => ({ size: ctx.config.size }),
});

export const stubborn = defineAgent({
  kind: 'stubborn',
  capabilities: ['stubbornness'],
  start: () => {
    throw new Error('the model file is missing');
  },
  run: () => null,
});

export const broken = defineAgent({
  kind: 'broken',
  capabilities: ['breaking'],
  concurrency: 10,
  run: (task) => {
    if (task.text() === 'ours') throw new TroupeError('FAILED_PRECONDITION', 'NO_MODEL', 'train it first');
    throw new Error('the weights are corrupt');
  },
});

/** Blocks the event loop of its node for `ms`, as a computation without pauses does. */
export const blocking = defineAgent({
  kind: 'blocking',
  capabilities: ['blocking'],
  run: (task) => {
    const { ms } = task.json();
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs);
    return { ms };
  },
});

/** Forgets to wait for something that fails. */
export const careless = defineAgent({
  kind: 'careless',
  capabilities: ['carelessness'],
  run: () => {
    setImmediate(() => Promise.reject(new Error('nobody waited for me')));
    return null;
  },
});
