import type { BuildPicker } from './picker.js';
import { Turn } from './turn.js';

/** Each in turn, which goes on over changes of membership. The turns of one that is excluded for long are shared by all others. */
export const roundRobin: BuildPicker = (candidates, { memory }) => {
  const before = memory.kept instanceof Turn ? memory.kept : undefined;
  const turn = before === undefined ? new Turn(candidates, memory.turn % candidates.length) : Turn.after(before, candidates);
  memory.kept = turn;
  return { pick: ({ excluded }) => turn.next(excluded) };
};
