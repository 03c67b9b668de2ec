import { Lottery } from './lottery.js';
import type { BuildPicker } from './picker.js';

/** Uniformly at random. */
export const random: BuildPicker = (candidates, { random: source }) => {
  const lottery = new Lottery(candidates, source);
  return { pick: ({ excluded }) => candidates[lottery.draw(excluded)] };
};
