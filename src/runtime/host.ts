import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest, ManifestInput } from '../agent/manifest.js';
import { TroupeError } from '../core/errors.js';
import { Activation, type ActivationDeps, type ActivationStatus, type StopReport } from './activation.js';
import { notStarted } from './refusals.js';
import type { TaskInput, TaskSink, Turn } from './turn.js';

const DEFAULT_WEIGHT = 1;

/** The agents that are alive inside one process. */
export class AgentHost {
  private readonly kinds: ReadonlyMap<string, AnyAgentDefinition>;
  private readonly activations = new Map<string, Activation>();
  private draining = false;

  /** @throws INVALID_ARGUMENT when two definitions have the same kind. */
  constructor(
    definitions: readonly AnyAgentDefinition[],
    private readonly deps: ActivationDeps,
  ) {
    this.kinds = new Map(definitions.map((definition) => [definition.kind, definition]));
    const twice = definitions.find((definition) => this.kinds.get(definition.kind) !== definition);
    if (twice !== undefined)
      throw new TroupeError(
        'INVALID_ARGUMENT',
        'KIND_TWICE',
        `two of the loaded agents are of kind "${twice.kind}"; give each its own`,
      );
  }

  get definitions(): readonly AnyAgentDefinition[] {
    return [...this.kinds.values()];
  }

  get isDraining(): boolean {
    return this.draining;
  }

  /** How the agents are, by id. */
  list(): readonly ActivationStatus[] {
    return [...this.activations.values()]
      .map((activation) => activation.status())
      .sort((a, b) => (a.manifest.id < b.manifest.id ? -1 : 1));
  }

  get size(): number {
    return this.activations.size;
  }

  /** Tasks that agents work on, and that wait for them. */
  totals(): { readonly inFlight: number; readonly queued: number } {
    let inFlight = 0;
    let queued = 0;
    for (const activation of this.activations.values()) {
      inFlight += activation.inFlight;
      queued += activation.queued;
    }
    return { inFlight, queued };
  }

  find(agentId: string): Activation | undefined {
    return this.activations.get(agentId);
  }

  /** Fills in what the manifest leaves to its kind. @throws NOT_FOUND / UNKNOWN_KIND. */
  complete(manifest: ManifestInput): AgentManifest {
    const kind = this.kinds.get(manifest.kind);
    if (kind === undefined) {
      throw new TroupeError(
        'NOT_FOUND',
        'UNKNOWN_KIND',
        `this node has no agent kind "${manifest.kind}"; it has: ${[...this.kinds.keys()].join(', ') || 'none (start it with --agents)'}`,
        {
          metadata: { kind: manifest.kind },
        },
      );
    }
    const { id, capabilities = [], config = {}, metadata = {} } = manifest;
    return {
      id,
      kind: kind.kind,
      capabilities: capabilities.length > 0 ? capabilities : kind.capabilities,
      config,
      concurrency: manifest.concurrency ?? kind.concurrency,
      mailboxCapacity: manifest.mailboxCapacity ?? kind.mailboxCapacity,
      weight: manifest.weight ?? DEFAULT_WEIGHT,
      adaptiveConcurrency: manifest.adaptiveConcurrency ?? kind.adaptiveConcurrency ?? false,
      metadata,
    };
  }

  /** Activates an agent. @throws ALREADY_EXISTS, NOT_FOUND / UNKNOWN_KIND, FAILED_PRECONDITION (its start failed, or the node drains). */
  async activate(given: ManifestInput): Promise<Activation> {
    this.checkDraining();
    const manifest = this.complete(given);
    return this.attach(this.kinds.get(manifest.kind) as AnyAgentDefinition, manifest);
  }

  /**
   * Activates an agent of a kind that is not one of the host's. `refusal`: why it takes no tasks now; undefined when it does.
   * @throws ALREADY_EXISTS, FAILED_PRECONDITION (its start failed, or the node drains).
   */
  async attach(
    definition: AnyAgentDefinition,
    manifest: AgentManifest,
    refusal?: () => TroupeError | undefined,
  ): Promise<Activation> {
    this.checkDraining();
    if (this.activations.has(manifest.id)) throw alreadyExists(manifest.id, `on node "${this.deps.nodeId}"`);
    const activation = new Activation(definition, manifest, { ...this.deps, refusal });
    this.activations.set(manifest.id, activation);
    try {
      await activation.start();
    } catch (error) {
      this.activations.delete(manifest.id);
      throw error;
    }
    return activation;
  }

  /** @throws FAILED_PRECONDITION / NODE_DRAINING once it drains. */
  checkDraining(): void {
    if (this.draining)
      throw new TroupeError('FAILED_PRECONDITION', 'NODE_DRAINING', 'this node drains and takes no agents; go to another');
  }

  /** Stops an agent and forgets it. @throws NOT_FOUND. */
  async deactivate(
    agentId: string,
    graceMs: number,
  ): Promise<{ readonly status: ActivationStatus; readonly report: StopReport }> {
    const activation = this.activations.get(agentId);
    if (activation === undefined) throw unknownAgent(agentId);
    const { kind } = activation.status().state;
    if (kind !== 'running')
      throw new TroupeError(
        'FAILED_PRECONDITION',
        'AGENT_NOT_RUNNING',
        `agent "${agentId}" is ${kind}; try again when that is done`,
      );
    const report = await activation.stop(graceMs);
    this.activations.delete(agentId);
    return { status: activation.status(), report };
  }

  /** Forgets an agent that has been stopped; false where it was forgotten before. */
  forget(activation: Activation): boolean {
    const { id } = activation.manifest;
    return this.activations.get(id) === activation && this.activations.delete(id);
  }

  /** @throws NOT_FOUND, UNAVAILABLE / NODE_DRAINING, and what Activation.execute throws: the agent has not seen the task. */
  execute(agentId: string, input: TaskInput, sink?: TaskSink): Turn {
    const activation = this.activations.get(agentId);
    if (activation === undefined) throw unknownAgent(agentId);
    if (this.draining)
      throw new TroupeError('UNAVAILABLE', 'NODE_DRAINING', 'this node drains and takes no new tasks', notStarted(agentId));
    return activation.execute(input, sink);
  }

  /** Takes nothing new from now on. */
  beginDrain(): void {
    this.draining = true;
  }

  /** Stops all agents together. */
  async stopAll(graceMs: number): Promise<StopReport> {
    this.draining = true;
    const reports = await Promise.all([...this.activations.values()].map((activation) => activation.stop(graceMs)));
    this.activations.clear();
    return {
      finished: reports.reduce((sum, { finished }) => sum + finished, 0),
      cancelled: reports.reduce((sum, { cancelled }) => sum + cancelled, 0),
    };
  }
}

export function alreadyExists(agentId: string, where: string): TroupeError {
  return new TroupeError(
    'ALREADY_EXISTS',
    'AGENT_EXISTS',
    `agent "${agentId}" exists ${where}; choose another id, or undeploy it first`,
    { metadata: { agent_id: agentId } },
  );
}

function unknownAgent(agentId: string): TroupeError {
  return new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `no agent "${agentId}" on this node`, notStarted(agentId));
}
