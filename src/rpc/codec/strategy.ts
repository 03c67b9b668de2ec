import type { StrategyName } from '../../balancer/strategies.js';
import { Strategy } from '../../gen/troupe/v1/strategy.js';

const TO_MESSAGE: Readonly<Record<StrategyName, Strategy>> = {
  round_robin: Strategy.STRATEGY_ROUND_ROBIN,
  random: Strategy.STRATEGY_RANDOM,
  least_connections: Strategy.STRATEGY_LEAST_CONNECTIONS,
};
const FROM_MESSAGE = new Map(Object.entries(TO_MESSAGE).map(([name, value]) => [value, name as StrategyName]));

export function strategyToMessage(name: StrategyName | undefined): Strategy {
  return name === undefined ? Strategy.STRATEGY_UNSPECIFIED : TO_MESSAGE[name];
}

/** `fallback` for unspecified; undefined for one of a newer contract. */
export function strategyFromMessage(strategy: Strategy, fallback: StrategyName): StrategyName | undefined {
  return strategy === Strategy.STRATEGY_UNSPECIFIED ? fallback : FROM_MESSAGE.get(strategy);
}
