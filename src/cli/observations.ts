import type { Command } from 'commander';
import type { Observation } from '../autoscale/report.js';
import type { TroupeClient } from '../client/client.js';
import { systemClock } from '../core/clock.js';
import { isTroupeError } from '../core/errors.js';
import { agentRows } from './agent-rows.js';
import { answersOfNodes, warnOfNode } from './ask-nodes.js';
import type { CliIo } from './io.js';
import { type Grouping, observedInstances } from './observed-instances.js';
import { pause } from './pause.js';

/**
 * Observations of the running cluster, at least `interval` milliseconds apart, for as long as they are wanted. A node that does not answer is
 * said so on standard error, once for as long as it lasts. @throws TroupeError
 */
export async function* observations(
  io: CliIo,
  command: Command,
  client: TroupeClient,
  { by, interval }: { readonly by: Grouping; readonly interval: number },
): AsyncGenerator<Observation, never, undefined> {
  const clock = io.clock ?? systemClock;
  let silent: ReadonlySet<string> = new Set();
  for (;;) {
    const timeMs = clock.now();
    const monotonicMs = clock.monotonicMs();
    const { agents, nodeIds, errors } = await sampleCluster(io, command, client);
    for (const [nodeId, error] of errors) if (!silent.has(nodeId)) warnOfNode(io, nodeId, error);
    silent = new Set(errors.keys());
    yield { timeMs, monotonicMs, instances: observedInstances({ agents, nodeIds, silent }, by) };
    await pause(io, interval);
  }
}

async function sampleCluster(io: CliIo, command: Command, client: TroupeClient) {
  const [nodes, instances] = await Promise.all([client.nodes(), client.instances({ service: 'agent' })]);
  const listed = nodes.map(({ id }) => id);
  const { answers, errors } = await answersOfNodes(io, command, listed, (asked, nodeId) => asked.agentsOf(nodeId));
  // A registry lists nodes, but does not forward to them: all of them would seem silent.
  for (const error of errors.values()) if (isTroupeError(error, 'UNIMPLEMENTED')) throw error;
  // What left since it was listed is not there, rather than silent.
  const gone = new Set([...errors].filter(([, error]) => isTroupeError(error, 'UNKNOWN_NODE')).map(([nodeId]) => nodeId));
  return {
    agents: agentRows(
      instances.filter(({ nodeId }) => !gone.has(nodeId)),
      [...answers.values()].flat(),
    ),
    nodeIds: listed.filter((nodeId) => !gone.has(nodeId)),
    errors: new Map([...errors].filter(([nodeId]) => !gone.has(nodeId))),
  };
}
