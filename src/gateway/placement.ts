import { TroupeError } from '../core/errors.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE, stays } from '../core/instance.js';
import type { Catalog } from '../discovery/catalog.js';
import type { Target } from '../discovery/view.js';

/** A node's instance lists the agent kinds that it can activate as its capabilities. */
function offersKind(node: Instance, kind: string): boolean {
  return node.capabilities.includes(kind);
}

/** The node that has an agent of this id, where it is well: it alone knows whether that is a program which is away, and gives way. */
export function holderOf(catalog: Catalog<Target>, agentId: string): Instance | undefined {
  const agent = catalog.get({ service: AGENT_SERVICE, id: agentId });
  const node = agent && catalog.get({ service: NODE_SERVICE, id: agent.instance.nodeId });
  return node !== undefined && stays(node.instance) ? node.instance : undefined;
}

/**
 * The node for a program: of those that are UP, the one with the fewest agents for its weight; then the first by id. `placed`: agents that it is to
 * get and that the catalog does not show yet. @throws UNAVAILABLE / NO_HEALTHY_NODE.
 */
export function nodeForProgram(catalog: Catalog<Target>, placed: (nodeId: string) => number): Instance {
  const load = (node: Instance) => (catalog.agentsOn(node.id) + placed(node.id)) / node.weight;
  const best = [...catalog.ofService(NODE_SERVICE)]
    .map(({ instance }) => instance)
    .filter(({ status }) => status === 'up')
    .sort((a, b) => load(a) - load(b) || (a.id < b.id ? -1 : 1))[0];
  if (best !== undefined) return best;
  throw new TroupeError('UNAVAILABLE', 'NO_HEALTHY_NODE', 'no node is UP that could take the program; try again', {
    retryAfterMs: 1_000,
  });
}

/**
 * The node for a new agent: of those that are UP and have its kind, the one with the fewest agents for its weight; of several,
 * the one with the fewest agents of the same kind, so that one crash does not take all of them; then the first by id.
 * @throws NOT_FOUND / UNKNOWN_KIND, UNAVAILABLE / NO_HEALTHY_NODE.
 */
export function leastLoadedNode(catalog: Catalog<Target>, kind: string): Instance {
  const nodes = [...catalog.ofService(NODE_SERVICE)].map(({ instance }) => instance);
  const suitable = nodes.filter((node) => offersKind(node, kind));
  if (suitable.length === 0) {
    const kinds = [...new Set(nodes.flatMap((node) => node.capabilities))].sort();
    throw new TroupeError(
      'NOT_FOUND',
      'UNKNOWN_KIND',
      `no node has agent kind "${kind}"; there are: ${kinds.join(', ') || 'none (start nodes with --agents)'}`,
      { metadata: { kind } },
    );
  }
  const siblings = new Map<string, number>();
  for (const { instance } of catalog.ofService(AGENT_SERVICE)) {
    if (instance.metadata.get('kind') === kind) siblings.set(instance.nodeId, (siblings.get(instance.nodeId) ?? 0) + 1);
  }
  const load = (node: Instance) => catalog.agentsOn(node.id) / node.weight;
  const alike = (node: Instance) => siblings.get(node.id) ?? 0;
  const best = suitable
    .filter(({ status }) => status === 'up')
    .sort((a, b) => load(a) - load(b) || alike(a) - alike(b) || (a.id < b.id ? -1 : 1))[0];
  if (best === undefined)
    throw new TroupeError(
      'UNAVAILABLE',
      'NO_HEALTHY_NODE',
      `none of the ${suitable.length} nodes that have kind "${kind}" is UP`,
      { retryAfterMs: 1_000 },
    );
  return best;
}
