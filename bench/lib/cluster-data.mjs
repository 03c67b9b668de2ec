// Instances as a registry would send them.

/** Capabilities that every simulated agent has one of. */
export const KINDS = 10;
/** The one that all have, where `common` asks for one. */
export const COMMON = 'agent-any';

/** A node as a message of the contract. */
export function nodeMessage(node) {
  return {
    ...base(nodeId(node), 'node', node),
    capabilities: ['worker'],
    nodeId: '',
  };
}

/** Agent `index` of node `node` as a message of the contract. */
export function agentMessage(node, index, common = true) {
  return {
    ...base(`agent-${nodeId(node)}-${index}`, 'agent', node),
    capabilities: [...(common ? [COMMON] : []), `kind-${(node + index) % KINDS}`],
    nodeId: nodeId(node),
  };
}

export function nodeId(node) {
  return `node-${String(node).padStart(5, '0')}`;
}

function base(id, service, node) {
  return {
    id,
    service,
    endpoint: { host: `10.0.${node >> 8}.${node & 255}`, port: 8765 },
    status: 'INSTANCE_STATUS_UP',
    weight: 1 + (node % 10),
    zone: `zone-${node % 3}`,
    metadata: new Map([['version', '0.1.0']]),
    registeredAt: new Date(1_700_000_000_000 + node),
  };
}

/** The messages of a whole cluster, nodes first, as snapshot parts of 1,000 in their encoded form. */
export async function encodedSnapshot({ nodes, agents, revision, common }) {
  const { WatchResponse } = await import('../../dist/src/gen/troupe/v1/registry.js');
  const { InstanceStatus } = await import('../../dist/src/gen/troupe/v1/instance.js');
  const parts = [];
  let part = [];
  const flush = (last) => {
    const value = { instances: part, revision, first: parts.length === 0, last };
    parts.push(Buffer.from(WatchResponse.encode(WatchResponse.fromPartial({ event: { $case: 'snapshot', value } })).finish()));
    part = [];
  };
  const add = (message) => {
    if (part.length === 1_000) flush(false);
    part.push({ ...message, status: InstanceStatus[message.status], incarnation: revision, revision });
  };
  for (let node = 0; node < nodes; node++) add(nodeMessage(node));
  for (let node = 0; node < nodes; node++) for (let index = 0; index < agents; index++) add(agentMessage(node, index, common));
  flush(true);
  return parts;
}

/** The instances of such a snapshot, decoded as a node or gateway does it. */
export async function decodedSnapshot(parts) {
  const { WatchResponse } = await import('../../dist/src/gen/troupe/v1/registry.js');
  const { instanceFromMessage } = await import('../../dist/src/rpc/codec/instance.js');
  return parts.flatMap((bytes) => WatchResponse.decode(bytes).event.value.instances.map(instanceFromMessage));
}
