import type { TroupeError } from '../core/errors.js';
import type { AgentPort, Detach } from './agent-port.js';
import { AttachedAgent, type AttachedAgentPort } from './attached-agent.js';
import * as refusals from './session-errors.js';

/** How long the readers of streamed answers may take when the program has given them and has gone. */
const READ_MS = 10_000;

/** The place in the cluster of a program that is an agent. */
export class SessionAgent {
  readonly agent: AttachedAgent;
  /** Of one that leaves: resolves when its id is free. */
  left: Promise<void> = Promise.resolve();
  /** Undefined as long as it is not registered: its id may be that of somebody else. */
  private detach: Detach | undefined;

  constructor(
    private readonly parts: AttachedAgentPort,
    private readonly agents: AgentPort | undefined,
  ) {
    this.agent = new AttachedAgent(parts);
  }

  /** @throws what keeps it out. */
  async register(): Promise<void> {
    if (this.agents === undefined) throw refusals.noAgentsHere();
    this.detach = await this.agents.attach(this.agent.definition, this.parts.manifest, this.agent.refusal);
  }

  /** Takes it out of the cluster; what it has may be answered for `graceMs`. */
  leave(graceMs: number): void {
    const { agent } = this;
    agent.leave();
    const leftMs = agent.isBeingRead ? Math.max(graceMs, READ_MS) : graceMs;
    if (this.detach !== undefined) this.left = this.detach(leftMs).finally(() => agent.end());
  }

  /** Why a session whose agent was stopped ends; undefined where it left by itself, or was not taken in: `register` tells why. */
  get whyStopped(): TroupeError | undefined {
    return this.agent.isLeaving || this.detach === undefined ? undefined : refusals.undeployed(this.parts.manifest.id);
  }
}
