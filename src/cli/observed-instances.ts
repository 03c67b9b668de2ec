import type { ObservedInstance } from '../autoscale/report.js';
import type { AgentRow } from './agent-rows.js';

/** What instances are taken together by. */
export const GROUPINGS = ['kind', 'capability', 'service'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** The cluster at one moment. */
export interface ClusterSample {
  readonly agents: readonly AgentRow[];
  readonly nodeIds: readonly string[];
  /** Nodes that did not answer. */
  readonly silent: ReadonlySet<string>;
}

/** Agents that no longer take tasks are no instances any more: Kubernetes, too, sets pods aside that are being deleted or failed. */
const LEFT_OUT = new Set(['STOPPING', 'STOPPED', 'FAILED']);

/**
 * The instances of a sample. A connection of an agent is a task that it has in flight or queued; those of a node are all of its agents'.
 * An agent with several capabilities counts in each of them.
 */
export function observedInstances(sample: ClusterSample, by: Grouping): readonly ObservedInstance[] {
  const agents = sample.agents.filter(({ state }) => !LEFT_OUT.has(state));
  switch (by) {
    case 'kind':
      return agents.map((agent) => ({ groups: [agent.kind], ...connections(agent) }));
    case 'capability':
      return agents.map((agent) => ({ groups: agent.capabilities, ...connections(agent) }));
    case 'service':
      return [...agents.map((agent) => ({ groups: ['agent'], ...connections(agent) })), ...nodes(sample)];
  }
}

function nodes({ agents, nodeIds, silent }: ClusterSample): readonly ObservedInstance[] {
  const totals = new Map(nodeIds.filter((nodeId) => !silent.has(nodeId)).map((nodeId) => [nodeId, 0]));
  // Whatever an agent's state: what it still works on is the node's load.
  for (const agent of agents) {
    const total = totals.get(agent.nodeId);
    if (total !== undefined) totals.set(agent.nodeId, total + (connections(agent).connections ?? 0));
  }
  return nodeIds.map((nodeId) => {
    const total = totals.get(nodeId);
    return { groups: ['node'], ...(total === undefined ? {} : { connections: total }) };
  });
}

function connections({ inFlight, queued }: AgentRow): { readonly connections?: number } {
  return inFlight === undefined || queued === undefined ? {} : { connections: inFlight + queued };
}
