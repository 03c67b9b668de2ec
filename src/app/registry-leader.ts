import { aborted } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { NODE_SERVICE } from '../core/instance.js';
import type { Random } from '../core/random.js';
import { HealthChecks } from '../health/health-checks.js';
import { type Nodes, Prober } from '../health/prober.js';
import type { Mirror } from '../registry/mirror.js';
import type { Registrar } from '../registry/registrar.js';
import { Election, type Term } from '../store/election.js';
import type { Keys } from '../store/keys.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';

export interface RegistryLeaderDeps {
  readonly store: Store;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly mirror: Mirror;
  readonly registrar: Registrar;
  readonly registryId: string;
}

/** A registry's part in the election among its replicas, and what it does while it leads: it probes the nodes. */
export class RegistryLeader {
  private readonly election: Election;
  private readonly resigning = new AbortController();

  constructor(private readonly deps: RegistryLeaderDeps) {
    this.election = new Election(deps, { key: deps.keys.leader('registry'), candidate: deps.registryId });
  }

  get isLeading(): boolean {
    return this.election.isLeading;
  }

  /** Campaigns until it resigns; ends with `signal`. */
  async run(signal: AbortSignal): Promise<void> {
    await this.election.run((term) => this.lead(term), AbortSignal.any([signal, this.resigning.signal]));
    await aborted(signal);
  }

  /** Leaves the lead to a replica, and does not campaign again. */
  resign(): void {
    this.resigning.abort();
  }

  private async lead(term: Term): Promise<void> {
    const { mirror, registrar, clock } = this.deps;
    const checks = new HealthChecks(clock);
    try {
      await new Prober({ ...this.deps, nodes: nodesOf(mirror), checks, verdicts: registrar }, term).run();
    } finally {
      checks.close();
    }
  }
}

function nodesOf(mirror: Mirror): Nodes {
  return {
    get revision() {
      return mirror.catalog.revision;
    },
    *all() {
      for (const { instance } of mirror.catalog.ofService(NODE_SERVICE)) yield instance;
    },
  };
}
