import { STRATEGY_NAMES, type StrategyName, strategies, strategyIn } from '../../src/balancer/strategies.js';
import { OWN_ZONE, type PickerSuite, pickerContract } from './picker.js';

/** Drawn at random: 400 picks each of 50, whose number differs by 5 % (one standard deviation); five of those. */
const DRAWN = 0.25;
/** On a ring with 114 points or more each: shares differ by up to 9 % besides. */
const ON_A_RING = 0.45;

const PROMISES: Readonly<Record<StrategyName, Omit<PickerSuite, 'build'>>> = {
  round_robin: { byWeight: false, tolerance: 0 },
  random: { byWeight: false, tolerance: DRAWN },
  least_connections: { byWeight: true, tolerance: DRAWN },
  weighted_round_robin: { byWeight: true, tolerance: 0 },
  weighted_random: { byWeight: true, tolerance: DRAWN },
  consistent_hash: { byWeight: true, tolerance: ON_A_RING },
  peak_ewma: { byWeight: false, tolerance: DRAWN },
};

for (const name of STRATEGY_NAMES) {
  pickerContract(name, { ...PROMISES[name], build: strategies[name] });
  if (name === 'consistent_hash') continue;
  pickerContract(`${name} in a zone`, { ...PROMISES[name], build: strategyIn(OWN_ZONE, name) }, 7);
}
