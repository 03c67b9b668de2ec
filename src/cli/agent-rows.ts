import { type AgentStatus, agentStateToJSON } from '../gen/troupe/v1/agent.js';
import { circuitStateToJSON } from '../gen/troupe/v1/health.js';
import type { Instance } from '../gen/troupe/v1/instance.js';

/** What `troupe agents` shows of an agent; what only its node knows is absent while the node does not answer. */
export interface AgentRow {
  readonly id: string;
  readonly kind: string;
  readonly nodeId: string;
  /** As the contract names it without its prefix; UNKNOWN while its node does not answer. */
  readonly state: string;
  /** Why it is FAILED; empty otherwise. */
  readonly failure: string;
  readonly capabilities: readonly string[];
  readonly inFlight?: number;
  readonly queued?: number;
  readonly completed?: number;
  readonly failed?: number;
  readonly refused?: number;
  readonly messagesInFlight?: number;
  readonly messagesQueued?: number;
  readonly messagesHandled?: number;
  readonly messagesRefused?: number;
  /** As the contract names it without its prefix; absent as well where the agent has none. */
  readonly circuit?: string;
  readonly registeredAt: Date | undefined;
}

/** Everything registered and, since a failed agent is registered no more, everything else that the nodes tell of; by id. */
export function agentRows(instances: readonly Instance[], told: readonly AgentStatus[]): AgentRow[] {
  // An agent that failed on one node may live on another.
  const byPlace = new Map(told.map((status) => [`${status.nodeId}/${status.manifest?.id}`, status]));
  const rows = instances.map((instance) => {
    const place = `${instance.nodeId}/${instance.id}`;
    const status = byPlace.get(place);
    byPlace.delete(place);
    return status === undefined ? silentRow(instance) : toldRow(status, instance);
  });
  for (const status of byPlace.values()) rows.push(toldRow(status, undefined));
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function silentRow(instance: Instance): AgentRow {
  return {
    id: instance.id,
    kind: instance.metadata.get('kind') ?? '',
    nodeId: instance.nodeId,
    state: 'UNKNOWN',
    failure: '',
    capabilities: instance.capabilities,
    registeredAt: instance.registeredAt,
  };
}

function toldRow(status: AgentStatus, instance: Instance | undefined): AgentRow {
  return {
    id: status.manifest?.id ?? '',
    kind: status.manifest?.kind ?? '',
    nodeId: status.nodeId,
    state: agentStateToJSON(status.state).replace('AGENT_STATE_', ''),
    failure: status.failure,
    capabilities: status.manifest?.capabilities ?? [],
    inFlight: status.inFlight,
    queued: status.queued,
    completed: Number(status.completed),
    failed: Number(status.failed),
    refused: Number(status.refused),
    messagesInFlight: status.messagesInFlight,
    messagesQueued: status.messagesQueued,
    messagesHandled: Number(status.messagesHandled),
    messagesRefused: Number(status.messagesRefused),
    ...(status.circuit === undefined ? {} : { circuit: circuitStateToJSON(status.circuit.state).replace('CIRCUIT_STATE_', '') }),
    registeredAt: instance?.registeredAt ?? status.stateSince,
  };
}
