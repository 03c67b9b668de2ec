import { AgentState, AgentStatus } from '../../../src/gen/troupe/v1/agent.js';
import { CircuitState } from '../../../src/gen/troupe/v1/health.js';
import { Instance, InstanceStatus } from '../../../src/gen/troupe/v1/instance.js';

export const NOW_MS = Date.UTC(2026, 0, 1, 12);
const ago = (ms: number) => new Date(NOW_MS - ms);

export function node(id: string, changes: Partial<Instance> = {}): Instance {
  return Instance.fromPartial({
    id,
    service: 'node',
    endpoint: { host: '127.0.0.1', port: 8765 },
    status: InstanceStatus.INSTANCE_STATUS_UP,
    weight: 10,
    zone: 'a',
    capabilities: ['ai', 'data'],
    registeredAt: ago(180_000),
    lastHeartbeatAt: ago(2_000),
    incarnation: 7n,
    revision: 9n,
    score: 0.96,
    ...changes,
  });
}

export function agent(id: string, nodeId: string): Instance {
  return Instance.fromPartial({
    id,
    service: 'agent',
    status: InstanceStatus.INSTANCE_STATUS_UP,
    capabilities: ['data_processing'],
    metadata: new Map([['kind', 'data']]),
    nodeId,
    registeredAt: ago(12_000),
  });
}

export function agentStatus(id: string, nodeId: string, changes: Partial<AgentStatus> = {}): AgentStatus {
  return AgentStatus.fromPartial({
    manifest: { id, kind: 'data', capabilities: ['data_processing'], concurrency: 2, mailboxCapacity: 100 },
    state: AgentState.AGENT_STATE_RUNNING,
    inFlight: 1,
    queued: 2,
    completed: 30n,
    failed: 4n,
    refused: 6n,
    messagesHandled: 17n,
    circuit: { service: 'agent', id, state: CircuitState.CIRCUIT_STATE_CLOSED },
    nodeId,
    stateSince: ago(5_000),
    ...changes,
  });
}
