import { type BuildPicker, firstAllowed } from './picker.js';

/** Each in turn. The turn goes on over changes of membership. */
export const roundRobin: BuildPicker = (candidates, { memory }) => ({
  pick({ excluded }) {
    if (candidates.length === 0) return undefined;
    memory.turn = (memory.turn + 1) % Number.MAX_SAFE_INTEGER;
    return firstAllowed(candidates, memory.turn % candidates.length, excluded);
  },
});
