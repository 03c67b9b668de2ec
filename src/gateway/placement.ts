import { TroupeError } from '../core/errors.js';
import { type Instance, NODE_SERVICE } from '../core/instance.js';
import type { Catalog } from '../discovery/catalog.js';
import type { Target } from '../discovery/view.js';

/** A node's instance lists the agent kinds that it can activate as its capabilities. */
function offersKind(node: Instance, kind: string): boolean {
  return node.capabilities.includes(kind);
}

/**
 * The node for a new agent: of those that are UP and have its kind, the one with the fewest agents for its weight; the first by id of several.
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
  const up = suitable.filter(({ status }) => status === 'up');
  const load = (node: Instance) => catalog.agentsOn(node.id) / node.weight;
  const best = up.sort((a, b) => load(a) - load(b) || (a.id < b.id ? -1 : 1))[0];
  if (best === undefined)
    throw new TroupeError(
      'UNAVAILABLE',
      'NO_HEALTHY_NODE',
      `none of the ${suitable.length} nodes that have kind "${kind}" is UP`,
      { retryAfterMs: 1_000 },
    );
  return best;
}
