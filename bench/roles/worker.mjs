// A node whose agents take a while: `wide` works on all tasks at once, `narrow` on one at a time with room for a few more.
import { setTimeout as wait } from 'node:timers/promises';
import { defineAgent, startNode } from 'troupe';
import { serveParent } from '../lib/child.mjs';

let node;
let taskMs;
const handled = { wide: 0, narrow: 0 };
const kind = (name, limits) =>
  defineAgent({
    kind: name,
    capabilities: [name],
    ...limits,
    run: async () => {
      await wait(taskMs);
      handled[name] += 1;
      return 'done';
    },
  });

serveParent({
  start: async (params) => {
    ({ taskMs } = params);
    node = await startNode({
      id: params.id,
      registry: [params.registry],
      agents: [kind('wide', { concurrency: 1_000 }), kind('narrow', { concurrency: 1, mailboxCapacity: 20 })],
      deploy: ['wide', 'narrow'].map((name) => ({ id: `${name}-${params.id}`, kind: name })),
    });
    return { address: node.address };
  },
  /** Tasks done so far, by kind. */
  handled: () => handled,
  stop: () => node?.stop(),
});
