// A node by the public SDK: with agents that echo, or with none, as a router of tasks.
import { defineAgent, startNode } from 'troupe';

const echo = defineAgent({
  kind: 'echo',
  capabilities: ['echo'],
  concurrency: 1_024,
  mailboxCapacity: 10_000,
  run: (task) => task.text(),
});

export function startBenchNode({ id, registry, agents, ...telemetry }) {
  return startNode({
    id,
    ...telemetry,
    registry: [registry],
    agents: agents.length > 0 ? [echo] : [],
    deploy: agents.map((agent) => ({ id: agent, kind: 'echo' })),
  });
}
