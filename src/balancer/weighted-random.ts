import { Lottery, weightsOf } from './lottery.js';
import type { BuildPicker } from './picker.js';

/** At random, as often as their weights say. */
export const weightedRandom: BuildPicker = (candidates, { random }) => {
  const lottery = new Lottery(candidates, random, weightsOf(candidates));
  return { pick: ({ excluded }) => candidates[lottery.draw(excluded)] };
};
