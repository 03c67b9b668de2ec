// A node, by the public SDK: with an agent that echoes, or with none, as a router of tasks.
import { defineAgent, startNode } from 'troupe';
import { serveParent } from '../lib/child.mjs';

const echo = defineAgent({
  kind: 'echo',
  capabilities: ['echo'],
  concurrency: 1_024,
  mailboxCapacity: 10_000,
  run: (task) => task.text(),
});

let node;
serveParent({
  start: async ({ id, registry, agents, ...telemetry }) => {
    node = await startNode({
      id,
      ...telemetry,
      registry: [registry],
      agents: agents.length > 0 ? [echo] : [],
      deploy: agents.map((agent) => ({ id: agent, kind: 'echo' })),
    });
    return { address: node.address };
  },
  stop: () => node?.stop(),
});
