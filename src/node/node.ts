import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { AgentManifest, ManifestInput } from '../agent/manifest.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import type { InstanceId } from '../core/ids.js';
import { AGENT_SERVICE, type Instance, NODE_SERVICE, stays } from '../core/instance.js';
import type { Membership } from '../discovery/membership.js';
import { notJoined } from '../discovery/not-joined.js';
import type { ClusterView } from '../discovery/view.js';
import type { Activation, ActivationStatus, StopReport } from '../runtime/activation.js';
import type { AgentHost } from '../runtime/host.js';
import type { Logger } from '../telemetry/logger.js';
import type { ManifestStore } from './manifest-store.js';

export interface NodeDeps {
  readonly host: AgentHost;
  readonly membership: Membership;
  readonly view: ClusterView;
  readonly manifests: ManifestStore;
  /** Tells attached programs to go elsewhere, once their agents are not registered here any more. */
  readonly onDrain?: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

const MAX_UNRESTORED = 1000;
/** To a program whose agent another node has. */
const GO_TO_PROGRAM = '; where it is a program that was lost, one that attaches at a gateway, or at that node, takes its place';

/** Hosts agents and keeps the registry and its own disk in step with who is alive here. */
export class AgentNode {
  private readonly unrestoredAgents = new Map<string, string>();
  private drainReport: Promise<StopReport> | undefined;

  constructor(private readonly deps: NodeDeps) {}

  /** Why agents of an earlier run are not here, by id. */
  get unrestored(): ReadonlyMap<string, string> {
    return this.unrestoredAgents;
  }

  /** Activates, registers and remembers an agent. All or nothing. @throws as Node.DeployAgent says. */
  async deploy(manifest: ManifestInput): Promise<ActivationStatus> {
    const { host, manifests } = this.deps;
    const activation = await this.activate(manifest);
    try {
      await manifests.save(activation.manifest);
    } catch (error) {
      await this.deps.membership.remove([this.agentInstance(activation.manifest)]).catch(() => undefined);
      await host.deactivate(manifest.id, 0);
      throw error;
    }
    this.deps.logger.info('agent deployed', { agent: manifest.id, kind: manifest.kind });
    return activation.status();
  }

  /** Takes an agent out of the registry, lets it finish, stops and forgets it. @throws NOT_FOUND. */
  async undeploy(agentId: string, graceMs: number): Promise<ActivationStatus> {
    const { host, manifests, logger } = this.deps;
    // Only of an agent that will really stop: for any other, `deactivate` says why not.
    if (host.find(agentId)?.status().state.kind === 'running') {
      await manifests.remove(agentId);
      await this.deregister(agentId);
    }
    const { status } = await host.deactivate(agentId, graceMs);
    logger.info('agent undeployed', { agent: agentId });
    return status;
  }

  /**
   * Activates and registers an agent that is a program; nothing is kept of it on disk. `refusal`: why it takes no tasks now; undefined when
   * it does. All or nothing. Gives what takes it out again. @throws as Node.DeployAgent says.
   */
  async attach(
    definition: AnyAgentDefinition,
    manifest: AgentManifest,
    refusal: () => TroupeError | undefined,
  ): Promise<(graceMs: number) => Promise<void>> {
    const activation = await this.register(() => this.deps.host.attach(definition, manifest, refusal), GO_TO_PROGRAM);
    this.deps.logger.info('agent attached', { agent: manifest.id });
    let deregistered: Promise<void> | undefined;
    return (graceMs) => {
      // Once it is gone its id may be that of another.
      if (this.deps.host.find(manifest.id) !== activation) return Promise.resolve();
      deregistered ??= this.deregister(manifest.id);
      return this.detach(activation, graceMs, deregistered);
    };
  }

  /** Lets a program's agent finish for `graceMs` from now, and forgets it. Never rejects. */
  private async detach(activation: Activation, graceMs: number, deregistered: Promise<void>): Promise<void> {
    // Its id is free when it is out of the registry and has stopped: who comes with it before must wait.
    await Promise.all([deregistered, activation.stop(graceMs)]);
    if (this.deps.host.forget(activation)) this.deps.logger.info('agent detached', { agent: activation.manifest.id });
  }

  /** Brings back the agents that this node had before. What cannot come back is noted, and does not keep the others away. */
  async restore(manifests: readonly ManifestInput[]): Promise<void> {
    for (const manifest of manifests) {
      if (this.deps.host.find(manifest.id) !== undefined) continue;
      try {
        await this.activate(manifest);
        this.deps.logger.info('agent restored', { agent: manifest.id });
      } catch (error) {
        if (this.unrestoredAgents.size < MAX_UNRESTORED) this.unrestoredAgents.set(manifest.id, messageOf(error));
        this.deps.logger.error('agent not restored', { agent: manifest.id, reason: messageOf(error) });
        // Somebody else has it now: it must not come back here at the next start either.
        if (isTroupeError(error) && error.code === 'ALREADY_EXISTS') await this.deps.manifests.remove(manifest.id);
      }
    }
  }

  /** An agent's id was taken by another node while this one had no lease: the other one stays. */
  async giveUp(agentId: string): Promise<void> {
    this.deps.logger.warn('agent given up: another node registered its id', { agent: agentId });
    await this.deps.manifests.remove(agentId);
    await this.deps.host.deactivate(agentId, 0).catch(() => undefined);
  }

  /**
   * Refuses new work, takes the agents out of the registry, and stops them when they have finished, at the latest after
   * `graceMs`. Their manifests stay: a node that is restarted brings them back. Later calls wait for the first.
   */
  drain(graceMs: number): Promise<StopReport> {
    this.drainReport ??= this.drainOnce(graceMs);
    return this.drainReport;
  }

  private async drainOnce(graceMs: number): Promise<StopReport> {
    const { host, membership, logger } = this.deps;
    logger.info('draining', { agents: host.size });
    const agents = host.list().map(({ manifest }) => ({ service: AGENT_SERVICE, id: manifest.id }));
    host.beginDrain();
    try {
      await membership.setStatus('stopping');
      await membership.remove(agents);
    } catch (error) {
      logger.warn('drains without the registry', { reason: messageOf(error) });
    }
    this.deps.onDrain?.();
    const report = await host.stopAll(graceMs);
    logger.info('drained', { ...report });
    return report;
  }

  private async deregister(agentId: string): Promise<void> {
    const { membership, logger } = this.deps;
    await membership
      .remove([{ service: AGENT_SERVICE, id: agentId }])
      .catch((error: unknown) => logger.warn('agent not deregistered yet', { agent: agentId, reason: messageOf(error) }));
  }

  private activate(manifest: ManifestInput): Promise<Activation> {
    return this.register(() => this.deps.host.activate(manifest), '');
  }

  /** Activates an agent and puts it under the node's lease. All or nothing. `advice`: what else helps where another node has its id. */
  private async register(start: () => Promise<Activation>, advice: string): Promise<Activation> {
    const { host, membership } = this.deps;
    if (membership.isFenced) throw notJoined();
    const activation = await start();
    const { manifest } = activation;
    // A drain that began meanwhile stops it.
    host.checkDraining();
    try {
      await membership.put(this.agentInstance(manifest));
    } catch (error) {
      if (isTroupeError(error, 'WITHDRAWN')) {
        // Whoever took it out again stops it.
        host.checkDraining();
        throw error;
      }
      await activation.stop(0);
      host.forget(activation);
      throw isTroupeError(error, 'ALREADY_REGISTERED') ? this.existsElsewhere(manifest.id, error, advice) : error;
    }
    return activation;
  }

  /** Whoever has the id keeps it, unless its node ends or is lost: then it is free when the lease of that has ended. */
  private existsElsewhere(agentId: string, { metadata, retryAfterMs }: TroupeError, advice: string): TroupeError {
    const nodeId = metadata.node_id ?? '';
    const node = this.deps.view.catalog.get({ service: NODE_SERVICE, id: nodeId })?.instance;
    const isKept = nodeId === '' || (node !== undefined && stays(node));
    const where = nodeId === '' ? 'elsewhere' : `on node "${nodeId}"`;
    const what = isKept
      ? `choose another id, or undeploy it first${advice}`
      : 'that node ends or does not answer: the id is free when its lease has ended';
    return new TroupeError('ALREADY_EXISTS', 'AGENT_EXISTS', `agent "${agentId}" exists ${where}; ${what}`, {
      metadata: { agent_id: agentId, node_id: nodeId },
      retryAfterMs: isKept ? undefined : retryAfterMs,
    });
  }

  private agentInstance(manifest: AgentManifest): Instance {
    const { self } = this.deps.membership;
    return {
      id: manifest.id as InstanceId,
      service: AGENT_SERVICE,
      endpoint: self.endpoint,
      status: 'up',
      weight: manifest.weight,
      zone: self.zone,
      capabilities: manifest.capabilities,
      metadata: new Map([...Object.entries(manifest.metadata), ['kind', manifest.kind]]),
      nodeId: self.id,
      registeredAtMs: 0,
      incarnation: 0n,
      revision: 0n,
    };
  }
}
