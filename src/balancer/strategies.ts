import { consistentHash } from './consistent-hash.js';
import { leastConnections } from './least-connections.js';
import { peakEwma } from './peak-ewma.js';
import type { BuildPicker } from './picker.js';
import { random } from './random.js';
import { roundRobin } from './round-robin.js';
import { weightedRandom } from './weighted-random.js';
import { weightedRoundRobin } from './weighted-round-robin.js';
import { preferZone } from './zone-preference.js';

/** The strategies by their names in the contract, lower case. */
export type StrategyName =
  | 'round_robin'
  | 'random'
  | 'least_connections'
  | 'weighted_round_robin'
  | 'weighted_random'
  | 'consistent_hash'
  | 'peak_ewma';

export const strategies = {
  round_robin: roundRobin,
  random,
  least_connections: leastConnections,
  weighted_round_robin: weightedRoundRobin,
  weighted_random: weightedRandom,
  consistent_hash: consistentHash,
  peak_ewma: peakEwma,
} as const satisfies Readonly<Record<StrategyName, BuildPicker>>;

export const STRATEGY_NAMES = Object.keys(strategies) as readonly StrategyName[];

/**
 * A strategy as a router in `zone` uses it ('' for none). Consistent hashing knows no zones: the same key must come to the same instance whichever
 * zone the router is in.
 */
export function strategyIn(zone: string, name: StrategyName): BuildPicker {
  return name === 'consistent_hash' ? strategies[name] : preferZone(zone, strategies[name]);
}
