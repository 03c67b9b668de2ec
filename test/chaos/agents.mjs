// Agents for chaos: what they do is said at their deployment, and changed by the control agent of their node. Plain JavaScript against
// the built package.
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { defineAgent } from 'troupe';

export { listener, talker } from '../support/agents/talker.mjs';

/** What the control agent said of the agents of this node, by agent id. */
const changed = new Map();

/** Comparable between processes of this machine, and monotonic. */
const now = () => performance.timeOrigin + performance.now();

function note(log, what, task, ctx) {
  if (log !== undefined) appendFileSync(log, `${what} ${task.id} ${task.attempt} ${ctx.agentId} ${now().toFixed(3)}\n`);
}

/** 0 to 1, the same for the same task wherever and whenever: which tasks fail follows from the seed that made their ids (FNV-1a). */
function chanceOf(id) {
  let hash = 0x811c9dc5;
  for (const char of id) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

/**
 * Works for `config.ms`; fails the share `config.failing` of its tasks; writes into the file `config.log` when it begins a task and when it
 * has done it, before it answers: what the checker holds against what callers saw.
 */
export const worker = defineAgent({
  kind: 'worker',
  capabilities: ['work'],
  concurrency: 64,
  mailboxCapacity: 1_000,
  config: { parse: (value) => ({ ms: 0, failing: 0, log: undefined, ...value }) },
  run: async (task, ctx) => {
    const { ms, failing, log } = { ...ctx.config, ...changed.get(ctx.agentId) };
    note(log, 'begun', task, ctx);
    if (ms > 0) await delay(ms, undefined, { signal: ctx.signal });
    if (failing > 0 && chanceOf(task.id) < failing) throw new Error('it fails now and then');
    note(log, 'done', task, ctx);
    return { attempt: task.attempt };
  },
});

/** Changes what the agents of its node do: `{ agentId, ms?, failing? }`. */
export const control = defineAgent({
  kind: 'control',
  capabilities: ['control'],
  run: (task) => {
    const { agentId, ...change } = task.json();
    changed.set(agentId, { ...changed.get(agentId), ...change });
    return 'changed';
  },
});

/** Blocks the event loop of its node for `ms`. */
export const blocker = defineAgent({
  kind: 'blocker',
  capabilities: ['block'],
  run: (task) => {
    const untilMs = performance.now() + task.json().ms;
    while (performance.now() < untilMs);
    return 'done';
  },
});

/**
 * Waits for `firstMs`, then streams `chunks` numbered chunks of `bytes`, one each `everyMs`. Writes into the file `config.log` when it begins, when it is
 * called off and when it is done.
 */
export const streamer = defineAgent({
  kind: 'streamer',
  capabilities: ['stream'],
  concurrency: 64,
  config: { parse: (value) => ({ log: undefined, ...value }) },
  run: async (task, ctx) => {
    const { chunks, everyMs, firstMs = 0, bytes = 0 } = task.json();
    const filler = 'x'.repeat(bytes);
    const { log } = ctx.config;
    note(log, 'begun', task, ctx);
    ctx.signal.addEventListener('abort', () => note(log, 'called-off', task, ctx), { once: true });
    if (firstMs > 0) await delay(firstMs, undefined, { signal: ctx.signal });
    for (let n = 0; n < chunks; n++) {
      await ctx.emit({ n, filler });
      await delay(everyMs, undefined, { signal: ctx.signal });
    }
    note(log, 'done', task, ctx);
    return { chunks };
  },
});
