import { workForWeight } from './least-connections.js';
import type { BuildPicker, Candidate, Picker, PickerDeps, PickerMemory, PickRequest } from './picker.js';

/**
 * A strategy that keeps to the own zone while it can: a candidate of another zone is taken only where the one chosen here is busy, which it has
 * told, and the other one less so. Where nobody is here, or all who are here are excluded: among the others.
 *
 * @param zone the own one; '' for none: then all are alike.
 */
export function preferZone(zone: string, build: BuildPicker): BuildPicker {
  if (zone === '') return build;
  return (candidates, deps) => {
    const memory = memoryOf(deps.memory);
    const near = candidates.filter((candidate) => candidate.zone === zone);
    if (near.length === 0 || near.length === candidates.length) return build(candidates, { ...deps, memory: memory.all });
    const far = candidates.filter((candidate) => candidate.zone !== zone);
    return new ZonePicker(build(near, { ...deps, memory: memory.near }), build(far, { ...deps, memory: memory.far }), deps.clock);
  };
}

/** What the strategy keeps of each of the sets that it chooses from. */
class ZoneMemory {
  readonly near: PickerMemory;
  readonly far: PickerMemory;
  readonly all: PickerMemory;

  constructor(turn: number) {
    this.near = { turn };
    this.far = { turn };
    this.all = { turn };
  }
}

function memoryOf(memory: PickerMemory): ZoneMemory {
  const kept = memory.kept instanceof ZoneMemory ? memory.kept : new ZoneMemory(memory.turn);
  memory.kept = kept;
  return kept;
}

class ZonePicker<C extends Candidate> implements Picker<C> {
  constructor(
    private readonly near: Picker<C>,
    private readonly far: Picker<C>,
    private readonly clock: PickerDeps['clock'],
  ) {}

  pick(request: PickRequest): C | undefined {
    const near = this.near.pick(request);
    if (near === undefined) return this.far.pick(request);
    const nowMs = this.clock.monotonicMs();
    if (!near.load.isBusy(nowMs)) return near;
    const far = this.far.pick(request);
    if (far === undefined) return near;
    return !far.load.isBusy(nowMs) || workForWeight(far, nowMs) < workForWeight(near, nowMs) ? far : near;
  }
}
