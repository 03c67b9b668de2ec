import { DeadlineSchedule } from './deadline-schedule.js';
import type { BuildPicker } from './picker.js';

/** Each in turn, as often as its weight says, evenly spaced. The schedule goes on over changes of membership. */
export const weightedRoundRobin: BuildPicker = (candidates, { memory, random }) => {
  const before = memory.kept instanceof DeadlineSchedule ? memory.kept : undefined;
  const schedule = new DeadlineSchedule(candidates, before, random);
  memory.kept = schedule;
  return { pick: ({ excluded }) => schedule.next(excluded) };
};
