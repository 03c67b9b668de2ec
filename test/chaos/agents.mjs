// Agents for chaos: their config says how fast they are and how often they fail. Plain JavaScript against the built package.
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { defineAgent } from 'troupe';

/**
 * Works for `config.ms`; fails each task with probability `config.failing`; writes each execution that it completes into the file
 * `config.log`, before it answers: what the checker holds against what callers saw.
 */
export const worker = defineAgent({
  kind: 'worker',
  capabilities: ['work'],
  concurrency: 64,
  mailboxCapacity: 1_000,
  config: { parse: (value) => ({ ms: 0, failing: 0, log: undefined, ...value }) },
  run: async (task, ctx) => {
    const { ms, failing, log } = ctx.config;
    if (ms > 0) await delay(ms, undefined, { signal: ctx.signal });
    if (failing > 0 && Math.random() < failing) throw new Error('it fails now and then');
    if (log !== undefined) appendFileSync(log, `${task.id} ${task.attempt} ${ctx.agentId}\n`);
    return { node: ctx.nodeId, attempt: task.attempt };
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
