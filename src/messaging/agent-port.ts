import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest } from '../agent/manifest.js';
import type { TroupeError } from '../core/errors.js';

/** Makes programs agents of this process: what a node offers to sessions. */
export interface AgentPort {
  /**
   * Activates and registers an agent. `refusal`: why it takes no tasks now; undefined when it does. All or nothing.
   * @throws ALREADY_EXISTS, FAILED_PRECONDITION (the node drains), UNAVAILABLE (it holds no lease, the registry is not reached).
   */
  attach(definition: AnyAgentDefinition, manifest: AgentManifest, refusal: () => TroupeError | undefined): Promise<void>;
  /** Deregisters it, lets it finish for `graceMs`, and forgets it. Nothing happens where it is gone. Never rejects. */
  detach(agentId: string, graceMs: number): Promise<void>;
}
