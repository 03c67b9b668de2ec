import type { StrategyName } from '../../../src/balancer/strategies.js';
import type { Instance } from '../../../src/core/instance.js';
import { ClusterView, type Target } from '../../../src/discovery/view.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { Destinations } from '../../../src/upstream/destinations.js';
import { HealthTable, type HealthTransition } from '../../../src/upstream/health-table.js';
import type { OutlierPolicy } from '../../../src/upstream/outlier.js';
import type { Attempt, Told } from '../../../src/upstream/route.js';
import { DEFAULT_RETRY, type RouteRequest } from '../../../src/upstream/route-request.js';
import { Router } from '../../../src/upstream/router.js';
import { Selector } from '../../../src/upstream/selector.js';
import type { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';

/** A router over a view that the test fills, on the test's clock. */
export class RouterRig {
  readonly view: ClusterView;
  readonly health: HealthTable;
  readonly destinations: Destinations;
  readonly router: Router;
  /** `from > to` of every transition, by instance. */
  readonly transitions: string[] = [];
  private revision = 1n;

  constructor(
    readonly clock: FakeClock,
    instances: readonly Instance[],
    options: { readonly zone?: string; readonly outlier?: OutlierPolicy; readonly seed?: number } = {},
  ) {
    const random = seededRandom(options.seed ?? 1);
    this.view = new ClusterView(clock);
    this.health = new HealthTable({ view: this.view, clock, logger: silentLogger }, options.outlier);
    this.health.onTransition((transition) => this.transitions.push(text(transition)));
    this.view.reset(instances, this.revision);
    this.transitions.length = 0;
    this.destinations = new Destinations({ view: this.view, health: this.health, clock, random, zone: options.zone ?? '' });
    this.router = new Router({ selector: new Selector(this.destinations, this.health), clock, random });
  }

  /** Sends a task. */
  route<T>(request: RouteRequest, attempt: Attempt<T>, told?: Told<T>): Promise<T> {
    return this.router.route(request, attempt, told).run();
  }

  put(...instances: readonly Instance[]): void {
    this.revision += 1n;
    this.view.apply(
      instances.map((instance) => ({ kind: 'put', instance })),
      this.revision,
    );
  }

  remove(service: string, id: string): void {
    this.revision += 1n;
    this.view.apply([{ kind: 'removed', key: { service, id } }], this.revision);
  }

  target(id: string, service = 'agent'): Target {
    const found = this.view.catalog.get({ service, id });
    if (found === undefined) throw new Error(`no ${service} ${id}`);
    return found;
  }

  request(more: Partial<RouteRequest> = {}): RouteRequest {
    return {
      capabilities: ['work'],
      agentId: '',
      strategy: 'round_robin' satisfies StrategyName,
      hash: undefined,
      idempotent: false,
      deadlineMs: this.clock.now() + 30_000,
      retry: DEFAULT_RETRY,
      ...more,
    };
  }
}

function text({ instance, from }: HealthTransition): string {
  return `${instance.id}: ${from ?? 'new'} > ${instance.kind}`;
}
