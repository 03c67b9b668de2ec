import type { Random } from '../core/random.js';

/** Something that can be chosen. */
export interface Candidate {
  /** What a request excludes it by. */
  readonly key: string;
  /** 1 to 1000. */
  readonly weight: number;
  readonly load: Load;
}

/** What a chooser knows of how busy a candidate is. Mutable, and carried over when the candidate's snapshot is replaced. */
export interface Load {
  /** Calls that this process has under way there. */
  inFlight: number;
}

export interface PickRequest {
  /** Keys that must not be chosen: where the task was refused before. */
  readonly excluded?: ReadonlySet<string> | undefined;
}

/**
 * Chooses among a fixed set: a change of membership builds a new picker (as in gRPC). `pick` is synchronous, never
 * blocks and allocates nothing. Whoever uses what it gives counts `load.inFlight` up and down.
 */
export interface Picker<C extends Candidate> {
  /** One of the candidates; undefined when all are excluded or there are none. */
  pick(request: PickRequest): C | undefined;
}

/** What outlives the pickers of one destination, so that a change of membership does not start a strategy anew. */
export interface PickerMemory {
  /** Picks made by strategies that take turns. */
  turn: number;
}

export interface PickerDeps {
  readonly random: Random;
  readonly memory: PickerMemory;
}

export type BuildPicker = <C extends Candidate>(candidates: readonly C[], deps: PickerDeps) => Picker<C>;

/** The first candidate from `start` on, round the end, that is not excluded. */
export function firstAllowed<C extends Candidate>(
  candidates: readonly C[],
  start: number,
  excluded: ReadonlySet<string> | undefined,
): C | undefined {
  for (let step = 0; step < candidates.length; step++) {
    const candidate = candidates[(start + step) % candidates.length];
    if (candidate !== undefined && !excluded?.has(candidate.key)) return candidate;
  }
  return undefined;
}
