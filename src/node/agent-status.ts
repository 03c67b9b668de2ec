import type { AnyAgentDefinition } from '../agent/define-agent.js';
import { AGENT_SERVICE } from '../core/instance.js';
import { type AgentKind, AgentState, type AgentStatus } from '../gen/troupe/v1/agent.js';
import type { CircuitStatus } from '../gen/troupe/v1/health.js';
import { circuitStatusToMessage } from '../rpc/codec/circuit.js';
import { manifestToMessage } from '../rpc/codec/manifest.js';
import type { ActivationState, ActivationStatus } from '../runtime/activation.js';

const STATES: Readonly<Record<ActivationState['kind'], AgentState>> = {
  initialized: AgentState.AGENT_STATE_INITIALIZED,
  starting: AgentState.AGENT_STATE_STARTING,
  running: AgentState.AGENT_STATE_RUNNING,
  stopping: AgentState.AGENT_STATE_STOPPING,
  stopped: AgentState.AGENT_STATE_STOPPED,
  failed: AgentState.AGENT_STATE_FAILED,
};

export function agentStatusToMessage(status: ActivationStatus, nodeId: string): AgentStatus {
  return {
    manifest: manifestToMessage(status.manifest),
    state: STATES[status.state.kind],
    failure: status.state.kind === 'failed' ? status.state.reason : '',
    inFlight: status.inFlight,
    queued: status.queued,
    completed: BigInt(status.completed),
    failed: BigInt(status.failed),
    refused: BigInt(status.refused),
    stateSince: new Date(status.stateSinceMs),
    nodeId,
    circuit: agentCircuit(status),
    concurrencyLimit: status.concurrencyLimit,
    messagesInFlight: status.messages.inFlight,
    messagesQueued: status.messages.queued,
    messagesHandled: BigInt(status.messages.handled),
    messagesRefused: BigInt(status.messages.refused),
  };
}

/** Undefined where it is switched off. */
export function agentCircuit({ manifest, circuit }: ActivationStatus): CircuitStatus | undefined {
  return circuit === undefined ? undefined : circuitStatusToMessage(AGENT_SERVICE, manifest.id, circuit);
}

export function kindToMessage({ kind, description, capabilities, concurrency, mailboxCapacity }: AnyAgentDefinition): AgentKind {
  return { name: kind, description, capabilities: [...capabilities], concurrency, mailboxCapacity };
}
