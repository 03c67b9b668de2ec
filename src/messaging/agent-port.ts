import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import type { TroupeError } from '../core/errors.js';

/**
 * Deregisters the agent that was attached, lets it finish for `graceMs` from now, and forgets it. Nothing happens where it is gone, whoever has its
 * id now. Never rejects.
 */
export type Detach = (graceMs: number) => Promise<void>;

/** Makes programs agents of this process: what a node offers to sessions. */
export interface AgentPort {
  /**
   * Activates and registers an agent. `refusal`: why it takes no tasks now; undefined when it does. All or nothing. Gives what takes it out.
   * @throws ALREADY_EXISTS, FAILED_PRECONDITION (the node drains), UNAVAILABLE (it holds no lease, the registry is not reached).
   */
  attach(definition: AnyAgentDefinition, manifest: AgentManifest, refusal: () => TroupeError | undefined): Promise<Detach>;
}
