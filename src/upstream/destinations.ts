import type { Picker, PickerMemory } from '../balancer/picker.js';
import { type StrategyName, strategies } from '../balancer/strategies.js';
import type { Clock } from '../core/clock.js';
import { AGENT_SERVICE } from '../core/instance.js';
import { type Random, randomInt } from '../core/random.js';
import type { Catalog } from '../discovery/catalog.js';
import type { ClusterView, Target } from '../discovery/view.js';

/** Capability sets whose pickers are kept; beyond it the cache starts anew. */
const MAX_DESTINATIONS = 10_000;
const MAX_FIRST_TURN = 1_000_000;

interface Destination {
  /** The catalog for which it was last found current: until the next change of the cluster nothing needs to be looked up. */
  catalog: Catalog<Target>;
  /** The catalog's lists from which the picker was built: as long as these are the same arrays, so is the picker. */
  readonly lists: readonly (readonly Target[])[];
  readonly picker: Picker<Target>;
  readonly matching: number;
  readonly memory: PickerMemory;
}

/** Turns a set of capabilities into a picker over the agents that have all of them, rebuilt only when one of those changed. */
export class Destinations {
  private destinations = new Map<string, Destination>();

  constructor(
    private readonly view: ClusterView,
    private readonly random: Random,
    private readonly clock: Clock,
  ) {}

  agent(agentId: string): Target | undefined {
    return this.view.catalog.get({ service: AGENT_SERVICE, id: agentId });
  }

  /** The picker for a set, and how many agents match it whatever their status. */
  resolve(given: readonly string[], strategy: StrategyName): { readonly picker: Picker<Target>; readonly matching: number } {
    const capabilities = given.length === 1 ? given : [...given].sort();
    const key = `${strategy} ${capabilities.join(' ')}`;
    const known = this.destinations.get(key);
    if (known?.catalog === this.view.catalog) return known;
    if (known !== undefined && this.isCurrent(known, capabilities)) {
      known.catalog = this.view.catalog;
      return known;
    }
    return this.build(key, known, capabilities, strategy);
  }

  private isCurrent(destination: Destination, capabilities: readonly string[]): boolean {
    const { catalog } = this.view;
    return capabilities.every((capability, index) => destination.lists[index] === catalog.withCapability(capability));
  }

  private build(
    key: string,
    known: Destination | undefined,
    capabilities: readonly string[],
    strategy: StrategyName,
  ): Destination {
    const { catalog } = this.view;
    const lists = capabilities.map((capability) => catalog.withCapability(capability));
    const matching = intersection(lists, capabilities);
    const memory = known?.memory ?? { turn: randomInt(this.random, MAX_FIRST_TURN) };
    const picker = strategies[strategy](eligible(matching), {
      random: this.random,
      clock: this.clock,
      memory,
      members: matching,
    });
    const destination = { catalog, lists, picker, matching: matching.length, memory };
    if (this.destinations.size >= MAX_DESTINATIONS) this.destinations = new Map();
    this.destinations.set(key, destination);
    return destination;
  }
}

function intersection(lists: readonly (readonly Target[])[], capabilities: readonly string[]): readonly Target[] {
  const smallest = lists.reduce((best, list) => (list.length < best.length ? list : best));
  if (lists.length === 1) return smallest;
  return smallest.filter(({ instance }) => capabilities.every((capability) => instance.capabilities.includes(capability)));
}

/** Those that are UP; where there are none, those that are DEGRADED. */
function eligible(targets: readonly Target[]): readonly Target[] {
  if (targets.every(({ instance }) => instance.status === 'up')) return targets;
  const up = targets.filter(({ instance }) => instance.status === 'up');
  return up.length > 0 ? up : targets.filter(({ instance }) => instance.status === 'degraded');
}
