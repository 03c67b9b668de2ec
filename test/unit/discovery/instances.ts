import type { InstanceId } from '../../../src/core/ids.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE } from '../../../src/core/instance.js';

/** An instance of any service. */
export function instanceOf(service: string, id: string, more: Partial<Instance> = {}): Instance {
  return {
    id: id as InstanceId,
    service,
    endpoint: { host: '127.0.0.1', port: 5_000 },
    status: 'up',
    weight: 1,
    zone: 'default',
    capabilities: [],
    metadata: new Map(),
    nodeId: '',
    registeredAtMs: 0,
    incarnation: 1n,
    revision: 1n,
    ...more,
  };
}

/** An agent on node-1 that offers these capabilities. */
export function agentOf(id: string, capabilities: readonly string[], more: Partial<Instance> = {}): Instance {
  return instanceOf(AGENT_SERVICE, id, { capabilities, nodeId: 'node-1', ...more });
}

export function nodeOf(id: string, more: Partial<Instance> = {}): Instance {
  return instanceOf(NODE_SERVICE, id, more);
}
