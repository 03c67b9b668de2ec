import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { ManifestInput } from '../agent/manifest.js';
import { isId } from '../core/ids.js';
import { wrongUsage } from './run-role.js';

/** One agent of each kind for a node, named after both. @throws what ends the command with wrong usage. */
export function ownAgents(
  nodeId: string,
  kinds: readonly string[],
  definitions: readonly AnyAgentDefinition[],
): readonly ManifestInput[] {
  const known = definitions.map(({ kind }) => kind);
  return kinds.map((kind) => {
    if (!known.includes(kind)) {
      const offered = known.length === 0 ? 'no kind' : known.join(', ');
      throw wrongUsage(`--deploy-kinds: "${kind}" is no kind that this node offers; by --agents it offers ${offered}`);
    }
    const id = `${kind}-${nodeId}`;
    if (!isId(id)) throw wrongUsage(`--deploy-kinds: "${id}" would be the id of an agent, and is too long; give a shorter --id`);
    return { id, kind };
  });
}
