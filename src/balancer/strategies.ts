import { leastConnections } from './least-connections.js';
import type { BuildPicker } from './picker.js';
import { random } from './random.js';
import { roundRobin } from './round-robin.js';

/** Every strategy by its name in the contract, lower case. */
export const strategies = {
  round_robin: roundRobin,
  random,
  least_connections: leastConnections,
} as const satisfies Readonly<Record<string, BuildPicker>>;

export type StrategyName = keyof typeof strategies;

export const STRATEGY_NAMES = Object.keys(strategies) as readonly StrategyName[];
