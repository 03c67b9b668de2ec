import type { StrategyName } from '../../balancer/strategies.js';
import type { FieldViolation } from '../../core/errors.js';
import { Strategy } from '../../gen/troupe/v1/strategy.js';

const TO_MESSAGE: Readonly<Record<StrategyName, Strategy>> = {
  round_robin: Strategy.STRATEGY_ROUND_ROBIN,
  random: Strategy.STRATEGY_RANDOM,
  least_connections: Strategy.STRATEGY_LEAST_CONNECTIONS,
  weighted_round_robin: Strategy.STRATEGY_WEIGHTED_ROUND_ROBIN,
  weighted_random: Strategy.STRATEGY_WEIGHTED_RANDOM,
  consistent_hash: Strategy.STRATEGY_CONSISTENT_HASH,
  peak_ewma: Strategy.STRATEGY_PEAK_EWMA,
};
const MAX_ROUTING_KEY_BYTES = 1024;
const FROM_MESSAGE = new Map(Object.entries(TO_MESSAGE).map(([name, value]) => [value, name as StrategyName]));

export function strategyToMessage(name: StrategyName | undefined): Strategy {
  return name === undefined ? Strategy.STRATEGY_UNSPECIFIED : TO_MESSAGE[name];
}

/** `fallback` for unspecified; undefined for one of a newer contract. */
export function strategyFromMessage(strategy: Strategy, fallback: StrategyName): StrategyName | undefined {
  return strategy === Strategy.STRATEGY_UNSPECIFIED ? fallback : FROM_MESSAGE.get(strategy);
}

/** What is wrong with a routing key as `field`, given the strategy that it is for; undefined when nothing is. */
export function routingKeyViolation(field: string, key: string, strategy: StrategyName | undefined): FieldViolation | undefined {
  if (strategy === 'consistent_hash' && key === '') return { field, description: 'is required by STRATEGY_CONSISTENT_HASH' };
  if (Buffer.byteLength(key) > MAX_ROUTING_KEY_BYTES)
    return { field, description: `must be at most ${MAX_ROUTING_KEY_BYTES} bytes` };
  return undefined;
}
