import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { Load } from './load.js';

/** Something that can be chosen. */
export interface Candidate {
  /** What a request excludes it by. */
  readonly key: string;
  /** A whole number, 1 to 1000. */
  readonly weight: number;
  /** '' where it has none. */
  readonly zone: string;
  /** Mutable, and carried over when the candidate's snapshot is replaced. */
  readonly load: Load;
}

export interface PickRequest {
  /** Keys that must not be chosen: where the task was refused before. */
  readonly excluded?: ReadonlySet<string> | undefined;
  /** `hashKey` of the routing key, for strategies that send the same key to the same candidate. */
  readonly hash?: number | undefined;
}

/**
 * Chooses among a fixed set: a change of membership builds a new picker (as in gRPC). `pick` is synchronous, never
 * blocks, allocates nothing and leaves loads as they are: whoever uses what it gives calls `load.begin()` and `load.end()`.
 */
export interface Picker<C extends Candidate> {
  /** One of the candidates; undefined when all are excluded or there are none. */
  pick(request: PickRequest): C | undefined;
}

/** What outlives the pickers of one destination, so that a change of membership does not start a strategy anew. */
export interface PickerMemory {
  /** Where strategies that take turns begin: by chance, so that routers that start together do not all begin with the same candidate. */
  readonly turn: number;
  /** Whatever else the strategy keeps. It looks whether it is its own, and starts anew where it is not. */
  kept?: unknown;
}

export interface PickerDeps {
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly memory: PickerMemory;
  /**
   * All members of the set in the order of their keys, those too that are no candidates now. A strategy that assigns keys does it over these, so
   * that one which is merely set aside moves no keys of others. The candidates where it is not given.
   */
  readonly members?: readonly Candidate[] | undefined;
}

/** @param candidates in the order of their keys: where it is another one, turns are less fair when members change. */
export type BuildPicker = <C extends Candidate>(candidates: readonly C[], deps: PickerDeps) => Picker<C>;
