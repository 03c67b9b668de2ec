import { TroupeError } from '../core/errors.js';
import { AGENT_SERVICE, type Instance } from '../core/instance.js';

/** What a caller hears of a task that was begun and not answered. `instance`: who had it; the node, where the agent is not known. */
export function outcomeUnknown(instance: Instance, cause: TroupeError, consequence: string): TroupeError {
  const { service, id, nodeId } = instance;
  const isAgent = service === AGENT_SERVICE;
  const agent = isAgent ? `agent "${id}"` : 'an agent';
  const place = isAgent ? { agent_id: id, node_id: nodeId } : { node_id: id };
  return new TroupeError('ABORTED', 'OUTCOME_UNKNOWN', `${whatBroke(agent, place.node_id, cause)} had the task: ${consequence}`, {
    metadata: place,
    cause,
  });
}

function whatBroke(agent: string, nodeId: string, { reason }: TroupeError): string {
  switch (reason) {
    case 'AGENT_STOPPED':
      return `${agent} on node "${nodeId}" ended while it`;
    case 'NODE_LOST':
      return `node "${nodeId}" was lost while ${agent}`;
    default:
      return `the connection to node "${nodeId}" broke while ${agent}`;
  }
}
