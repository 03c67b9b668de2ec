import type { Load, Picker, PickerMemory } from '../balancer/picker.js';
import { type StrategyName, strategies } from '../balancer/strategies.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { instanceKeyText } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { Catalog } from '../discovery/catalog.js';
import type { StoredInstance } from './stored-instance.js';

/** What was handed out counts as a connection for so long: the registry does not see when its use ends. */
const COUNTED_FOR_MS = 10_000;
const MAX_POOLS = 1_000;

interface Candidate {
  readonly key: string;
  readonly weight: number;
  readonly load: Load;
  readonly stored: StoredInstance;
}

interface Pool {
  readonly catalog: Catalog<StoredInstance>;
  readonly picker: Picker<Candidate>;
  readonly matching: number;
  readonly memory: PickerMemory;
  readonly loads: ReadonlyMap<string, Load>;
}

/** Registry.Discover: one healthy instance by a strategy, for those who do not route themselves. */
export class Discovery {
  private readonly pools = new Map<string, Pool>();

  constructor(private readonly deps: { readonly clock: Clock; readonly random: Random }) {}

  /** @throws NOT_FOUND / NO_INSTANCE, UNAVAILABLE / NO_HEALTHY_INSTANCE. */
  choose(
    catalog: Catalog<StoredInstance>,
    service: string,
    capabilities: readonly string[],
    strategy: StrategyName,
  ): StoredInstance {
    const pool = this.pool(catalog, service, capabilities, strategy);
    const chosen = pool.picker.pick({});
    if (chosen !== undefined) {
      chosen.load.inFlight += 1;
      this.deps.clock.after(COUNTED_FOR_MS, () => {
        chosen.load.inFlight -= 1;
      });
      return chosen.stored;
    }
    const what =
      capabilities.length === 0
        ? `service "${service}"`
        : `service "${service}" with ${capabilities.map((name) => `"${name}"`).join(' and ')}`;
    if (pool.matching === 0) throw new TroupeError('NOT_FOUND', 'NO_INSTANCE', `no instance of ${what}`);
    throw new TroupeError('UNAVAILABLE', 'NO_HEALTHY_INSTANCE', `none of the ${pool.matching} instances of ${what} is UP`, {
      retryAfterMs: 1_000,
    });
  }

  private pool(catalog: Catalog<StoredInstance>, service: string, capabilities: readonly string[], strategy: StrategyName): Pool {
    const key = [strategy, service, ...[...capabilities].sort()].join(' ');
    const known = this.pools.get(key);
    if (known?.catalog === catalog) return known;
    if (this.pools.size >= MAX_POOLS) this.pools.clear();
    const memory = known?.memory ?? { turn: 0 };
    const matching = [...catalog.ofService(service)]
      .filter(({ instance }) => capabilities.every((capability) => instance.capabilities.includes(capability)))
      .map((stored) => ({ stored, key: instanceKeyText(stored.instance), weight: stored.instance.weight }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map((candidate) => ({ ...candidate, load: known?.loads.get(candidate.key) ?? { inFlight: 0 } }));
    const up = matching.filter(({ stored }) => stored.instance.status === 'up');
    const picker = strategies[strategy](up, { random: this.deps.random, memory });
    const pool: Pool = {
      catalog,
      picker,
      matching: matching.length,
      memory,
      loads: new Map(matching.map(({ key: id, load }) => [id, load])),
    };
    this.pools.set(key, pool);
    return pool;
  }
}
