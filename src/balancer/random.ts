import { randomInt } from '../core/random.js';
import { type BuildPicker, firstAllowed } from './picker.js';

/** Uniformly at random. */
export const random: BuildPicker = (candidates, { random: source }) => ({
  pick: ({ excluded }) => firstAllowed(candidates, randomInt(source, candidates.length), excluded),
});
