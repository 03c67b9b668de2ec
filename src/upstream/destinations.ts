import type { Picker, PickerMemory } from '../balancer/picker.js';
import { type StrategyName, strategyIn } from '../balancer/strategies.js';
import type { Clock } from '../core/clock.js';
import { AGENT_SERVICE } from '../core/instance.js';
import { type Random, randomInt } from '../core/random.js';
import type { Catalog } from '../discovery/catalog.js';
import type { ClusterView, Target } from '../discovery/view.js';
import { DEFAULT_RETRY_BUDGET, RetryBudget } from '../resilience/retry-budget.js';
import type { HealthTable } from './health-table.js';

/** Where tasks that need certain capabilities can go now. */
export interface Destination {
  readonly picker: Picker<Target>;
  /** All agents that offer the capabilities, whatever their state. */
  readonly members: readonly Target[];
  /** Whether so few are healthy that health is left aside. */
  readonly panic: boolean;
  /** Of all tasks that need the capabilities, whatever their strategy. */
  readonly retries: RetryBudget;
}

interface Known extends Destination {
  /** The catalog for which it was last found current: until the next change of the cluster nothing needs to be looked up. */
  catalog: Catalog<Target>;
  /** The catalog's lists from which it was built: as long as these are the same arrays, so are the members. */
  readonly lists: readonly (readonly Target[])[];
  /** Those of the members that get tasks. */
  readonly targets: readonly Target[];
  /** Of the health table, when it was built. */
  readonly healthRevision: number;
  /** Monotonic: until then, changes of health alone do not have it built anew. */
  readonly keepUntilMs: number;
  readonly memory: PickerMemory;
}

/** All destinations of one set of capabilities. */
interface Group {
  readonly retries: RetryBudget;
  readonly strategies: Map<StrategyName, Known>;
}

export interface DestinationsDeps {
  readonly view: ClusterView;
  readonly health: HealthTable;
  readonly clock: Clock;
  readonly random: Random;
  /** The router's own zone, whose agents it prefers; '': all are alike. */
  readonly zone: string;
}

/** Capability sets whose pickers are kept; beyond it the cache starts anew. */
const MAX_DESTINATIONS = 10_000;
const MAX_FIRST_TURN = 1_000_000;
/** Building anew takes at most one part in so many of the time, however often health changes. Picks are checked against health all the same. */
const BUILD_SHARE = 20;
/** With less than this share of the serving agents healthy, all of them get tasks: Envoy's panic threshold, 50 %. */
const PANIC_BELOW = 0.5;

/** Turns a set of capabilities into a picker over the agents that have all of them, rebuilt only when one of those changed. */
export class Destinations {
  /** By capabilities, then by strategy: the name of a single capability is found faster than a key made of both. */
  private groups = new Map<string, Group>();
  /** Of tasks that name their agent, by agent. */
  private ownRetries = new Map<string, RetryBudget>();

  constructor(private readonly deps: DestinationsDeps) {}

  agent(agentId: string): Target | undefined {
    return this.deps.view.catalog.get({ service: AGENT_SERVICE, id: agentId });
  }

  /** Of the tasks for one agent. */
  retriesOf(agentId: string): RetryBudget {
    let budget = this.ownRetries.get(agentId);
    if (budget === undefined) {
      if (this.ownRetries.size >= MAX_DESTINATIONS) this.ownRetries = new Map();
      budget = new RetryBudget(DEFAULT_RETRY_BUDGET, this.deps.clock);
      if (this.agent(agentId) !== undefined) this.ownRetries.set(agentId, budget);
    }
    return budget;
  }

  /** Where a task goes that needs all of `given`. */
  resolve(given: readonly string[], strategy: StrategyName): Destination {
    const capabilities = given.length === 1 ? given : [...given].sort();
    const known = this.groups.get(keyOf(capabilities))?.strategies.get(strategy);
    if (known !== undefined && this.isCurrent(known, capabilities)) return known;
    return this.build(known, capabilities, strategy);
  }

  /** As `resolve`, whatever changed how little ago. */
  resolveAnew(given: readonly string[], strategy: StrategyName): Destination {
    const capabilities = given.length === 1 ? given : [...given].sort();
    return this.build(this.groups.get(keyOf(capabilities))?.strategies.get(strategy), capabilities, strategy);
  }

  private isCurrent(known: Known, capabilities: readonly string[]): boolean {
    const { view, health, clock } = this.deps;
    if (known.catalog !== view.catalog) {
      if (!capabilities.every((capability, index) => known.lists[index] === view.catalog.withCapability(capability)))
        return false;
      known.catalog = view.catalog;
    }
    return known.healthRevision === health.revision || clock.monotonicMs() < known.keepUntilMs;
  }

  private build(before: Known | undefined, capabilities: readonly string[], strategy: StrategyName): Known {
    const { view, health, clock, random } = this.deps;
    const startedAtMs = clock.monotonicMs();
    const { catalog } = view;
    const lists = capabilities.map((capability) => catalog.withCapability(capability));
    const sameLists = before !== undefined && lists.every((list, index) => list === before.lists[index]);
    const members = sameLists ? before.members : intersection(lists, capabilities);
    const { targets, panic } = eligible(members, health);
    const memory = before?.memory ?? { turn: randomInt(random, MAX_FIRST_TURN) };
    const isSame = sameLists && isEqual(targets, before.targets);
    const picker = isSame ? before.picker : strategyIn(this.deps.zone, strategy)(targets, { random, clock, memory, members });
    const endedAtMs = clock.monotonicMs();
    // What nobody offers is not kept: names that callers make up must not drive out the others.
    const group = this.group(keyOf(capabilities), members.length > 0);
    const destination: Known = {
      picker,
      members,
      panic,
      retries: group.retries,
      catalog,
      lists,
      targets,
      healthRevision: health.revision,
      keepUntilMs: endedAtMs + (endedAtMs - startedAtMs) * (BUILD_SHARE - 1),
      memory,
    };
    group.strategies.set(strategy, destination);
    return destination;
  }

  private group(key: string, keep: boolean): Group {
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    const group: Group = { retries: new RetryBudget(DEFAULT_RETRY_BUDGET, this.deps.clock), strategies: new Map() };
    if (!keep) return group;
    if (this.groups.size >= MAX_DESTINATIONS) this.groups = new Map();
    this.groups.set(key, group);
    return group;
  }
}

function keyOf(capabilities: readonly string[]): string {
  const [only] = capabilities;
  return only !== undefined && capabilities.length === 1 ? only : capabilities.join(' ');
}

function intersection(lists: readonly (readonly Target[])[], capabilities: readonly string[]): readonly Target[] {
  const smallest = lists.reduce((best, list) => (list.length < best.length ? list : best));
  if (lists.length === 1) return smallest;
  return smallest.filter(({ instance }) => capabilities.every((capability) => instance.capabilities.includes(capability)));
}

/**
 * Those that get tasks: of the agents that are UP (where there are none, that are DEGRADED) the healthy ones. Where fewer than half of them are
 * healthy, the trouble is more likely in what tells so, or everybody would run down the few that are left: then all get tasks
 * but those whose circuits are open.
 */
function eligible(
  members: readonly Target[],
  health: HealthTable,
): { readonly targets: readonly Target[]; readonly panic: boolean } {
  const serving = servingOf(members);
  if (health.allWell) return { targets: serving, panic: false };
  const well = serving.filter((target) => health.isUsable(target));
  if (well.length >= serving.length * PANIC_BELOW) return { targets: well, panic: false };
  return { targets: serving.filter((target) => !health.isShut(target)), panic: true };
}

function isEqual(a: readonly Target[], b: readonly Target[]): boolean {
  return a === b || (a.length === b.length && a.every((target, index) => target === b[index]));
}

function servingOf(members: readonly Target[]): readonly Target[] {
  if (members.every(({ instance }) => instance.status === 'up')) return members;
  const up = members.filter(({ instance }) => instance.status === 'up');
  return up.length > 0 ? up : members.filter(({ instance }) => instance.status === 'degraded');
}
