import { Load } from '../balancer/load.js';
import type { Picker, PickerMemory } from '../balancer/picker.js';
import { type StrategyName, strategies } from '../balancer/strategies.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { type Instance, instanceKeyText, NODE_SERVICE } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { Catalog } from '../discovery/catalog.js';
import type { StoredInstance } from './stored-instance.js';

/** What was handed out counts as a connection for so long: the registry does not see when its use ends. */
const COUNTED_FOR_MS = 10_000;
/** The strategies that look at it. For others it would be waste, and with consistent hashing a key would move because it was asked for. */
const COUNTING: ReadonlySet<StrategyName> = new Set(['least_connections', 'peak_ewma']);
const MAX_POOLS = 1_000;

/** Which instance is wanted. */
export interface Wanted {
  readonly service: string;
  /** All of these. */
  readonly capabilities: readonly string[];
  readonly strategy: StrategyName;
  /** Of the routing key, where there is one. */
  readonly hash?: number | undefined;
}

interface Candidate {
  readonly key: string;
  readonly weight: number;
  readonly zone: string;
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
  choose(catalog: Catalog<StoredInstance>, wanted: Wanted): StoredInstance {
    const { service, capabilities, strategy, hash } = wanted;
    const pool = this.pool(catalog, wanted);
    const chosen = pool.picker.pick({ hash });
    if (chosen !== undefined) {
      if (COUNTING.has(strategy)) {
        chosen.load.begin();
        this.deps.clock.after(COUNTED_FOR_MS, () => chosen.load.end());
      }
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

  private pool(catalog: Catalog<StoredInstance>, { service, capabilities, strategy }: Wanted): Pool {
    const key = [strategy, service, ...[...capabilities].sort()].join(' ');
    const known = this.pools.get(key);
    if (known?.catalog === catalog) return known;
    if (known === undefined && this.pools.size >= MAX_POOLS) this.pools.clear();
    const { clock, random } = this.deps;
    const memory = known?.memory ?? { turn: 0 };
    const matching = [...catalog.ofService(service)]
      .filter(({ instance }) => capabilities.every((capability) => instance.capabilities.includes(capability)))
      .map((stored) => candidateOf(stored, known?.loads))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const up = matching.filter(({ stored }) => stored.instance.status === 'up');
    const passing = up.filter(({ stored }) => !failsProbes(stored.instance, catalog));
    // With most of them failing, the probes are more likely wrong: the panic threshold of routers.
    const eligible = passing.length * 2 >= up.length ? passing : up;
    const picker = strategies[strategy](eligible, { random, clock, memory, members: matching });
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

/** Whether it, or the node that hosts it, fails the registry's probes. */
function failsProbes({ probe, nodeId }: Instance, catalog: Catalog<StoredInstance>): boolean {
  const verdict = probe ?? (nodeId === '' ? undefined : catalog.get({ service: NODE_SERVICE, id: nodeId })?.instance.probe);
  return verdict?.failing === true;
}

function candidateOf(stored: StoredInstance, loads: ReadonlyMap<string, Load> | undefined): Candidate {
  const key = instanceKeyText(stored.instance);
  const { weight, zone } = stored.instance;
  return { stored, key, weight, zone, load: loads?.get(key) ?? new Load() };
}
