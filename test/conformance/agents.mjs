// What clients in other languages talk to. Plain JavaScript against the built package, as a user writes it.
import { setTimeout as delay } from 'node:timers/promises';
import { defineAgent, TroupeError } from 'troupe';

/** Tells what reached it. Keeps what it is sent, and tells that when it is asked for "list". */
export const echo = defineAgent({
  kind: 'echo',
  capabilities: ['conformance.echo'],
  topics: ['conformance.all'],
  concurrency: 100,
  mailboxCapacity: 1_000,
  start: () => [],
  run: (task, ctx) => ({
    input: task.payload.kind === 'json' ? task.json() : null,
    attempt: task.attempt,
    traceparent: ctx.traceparent ?? null,
    trace: ctx.traceHeaders,
  }),
  receive: (message, ctx) => {
    const { payload, from, topic } = message;
    if (payload.kind === 'data') return { bytes: payload.data.length };
    const seen = { from, topic, text: message.text(), headers: Object.fromEntries(message.headers) };
    if (message.kind === 'send') ctx.state.push(seen);
    return message.text() === 'list' ? ctx.state : seen;
  },
});

/** Is half done at once, then counts, each number a chunk, and `pause_ms` before each. Asked for "parts N" it gives N parts. */
export const counter = defineAgent({
  kind: 'counter',
  capabilities: ['conformance.count'],
  concurrency: 100,
  run: async (task, ctx) => {
    const { count, pause_ms = 0 } = task.json();
    await ctx.progress(0.5, 'half way');
    for (let n = 1; n <= count; n++) {
      if (pause_ms > 0) await delay(pause_ms, undefined, { signal: ctx.signal });
      await ctx.emit({ n });
    }
    return { counted: count };
  },
  receive: async (message, ctx) => {
    const parts = Number(/^parts (\d+)$/.exec(message.text())?.[1] ?? 0);
    for (let n = 1; n <= parts; n++) await ctx.emit(String(n));
    return { parts };
  },
});

/** Works until it is called off. Asked for the name of a task it tells whether it has begun, and why it stopped. */
export const sleeper = defineAgent({
  kind: 'sleeper',
  capabilities: ['conformance.sleep'],
  concurrency: 100,
  start: () => new Map(),
  run: async (task, ctx) => {
    const { name } = task.json();
    ctx.state.set(name, { begun: true });
    await delay(60_000, undefined, { signal: ctx.signal }).catch(() => {
      ctx.state.set(name, { begun: true, stopped: ctx.signal.reason.code });
      throw ctx.signal.reason;
    });
  },
  receive: (message, ctx) => ctx.state.get(message.text()) ?? { begun: false },
});

/** Works on one task, and has room for one more. */
export const narrow = defineAgent({
  kind: 'narrow',
  capabilities: ['conformance.narrow'],
  concurrency: 1,
  mailboxCapacity: 1,
  run: (task, ctx) => delay(task.json().ms, null, { signal: ctx.signal }),
});

/** Fails in its own words. */
export const failing = defineAgent({
  kind: 'failing',
  capabilities: ['conformance.fail'],
  run: () => {
    throw new TroupeError('FAILED_PRECONDITION', 'NO_MODEL', 'train it first', { metadata: { model: 'm-1' } });
  },
});
