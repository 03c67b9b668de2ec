import type { Load } from './load.js';
import { Lottery, weightsOf } from './lottery.js';
import type { BuildPicker, Candidate, Picker, PickerDeps, PickRequest } from './picker.js';
import { Ring } from './ring.js';
import { SampledWork } from './sampled-work.js';

/** How much more than its share of all work a candidate may have: 1.25 in the paper and in HAProxy's advice (`hash-balance-factor` 125 to 200). */
const BOUND = 1.25;
/** So many points past the first possible one are looked at for one that is within its bound; about (1 + ε) / ε² = 20 are to be expected. */
const MAX_WALK = 256;

/**
 * The same candidate for the same key, as long as it is there and within its bound: consistent hashing with bounded loads (Mirrokni, Thorup,
 * Zadimoghaddam, 2016) on a ring of all members (as ketama and gRFC A42). Of a key whose candidate is set aside, excluded, or has more than 1.25 × its
 * share of the work of all, the next one clockwise is taken, so that it is always the same other one; where nobody is within his bound, the first one
 * clockwise. One that has told its limit and has room is never over its bound: a share of little work is less than one task, and a key would
 * be moved although nothing waits. Without a hash: at random.
 */
export const consistentHash: BuildPicker = (candidates, deps) => new HashPicker(candidates, deps);

class HashPicker<C extends Candidate> implements Picker<C> {
  private readonly ring: Ring;
  /** By member; undefined where he is no candidate now. Loads and weights beside them, so that those passed over cost little. */
  private readonly candidateOf: readonly (C | undefined)[];
  private readonly loadOf: readonly (Load | undefined)[];
  private readonly weightOf: Uint16Array;
  private readonly work: SampledWork;
  private readonly weights: number;
  private readonly lottery: Lottery;

  constructor(
    private readonly candidates: readonly C[],
    private readonly deps: PickerDeps,
  ) {
    const { members = candidates, memory, random } = deps;
    this.ring = memory.kept instanceof Ring && memory.kept.isOf(members) ? memory.kept : new Ring(members);
    memory.kept = this.ring;
    this.candidateOf = byMember(members, candidates);
    this.loadOf = this.candidateOf.map((candidate) => candidate?.load);
    this.weightOf = weightsOf(members);
    const loads = candidates.map(({ load }) => load);
    this.work = new SampledWork(loads, deps.clock);
    this.weights = candidates.reduce((sum, { weight }) => sum + weight, 0);
    this.lottery = new Lottery(candidates, random);
  }

  pick({ hash, excluded }: PickRequest): C | undefined {
    const { ring } = this;
    if (hash === undefined) return this.candidates[this.lottery.draw(excluded)];
    if (this.weights === 0) return undefined;
    const boundForWeight = (BOUND * (this.work.total() + 1)) / this.weights;
    let first: C | undefined;
    let point = ring.find(hash);
    for (let step = 0, end = ring.size; step < end; step++) {
      const member = ring.memberAt(point);
      point = point + 1 < ring.size ? point + 1 : 0;
      const load = this.loadOf[member];
      const candidate = this.candidateOf[member];
      if (load === undefined || candidate === undefined || excluded?.has(candidate.key) === true) continue;
      if (this.takes(load, Math.ceil(boundForWeight * (this.weightOf[member] ?? 1)))) return candidate;
      if (first !== undefined) continue;
      first = candidate;
      end = Math.min(end, step + MAX_WALK);
    }
    return first;
  }

  /** Work only falls with time: where it was within the bound the last time that the clock was read, it needs not be read again. */
  private takes(load: Load, bound: number): boolean {
    if (load.work(this.work.lookedAtMs) < bound) return true;
    const nowMs = this.deps.clock.monotonicMs();
    return load.work(nowMs) < bound || load.hasRoom(nowMs);
  }
}

/** The candidates are some of the members, in the same order. */
function byMember<C extends Candidate>(members: readonly Candidate[], candidates: readonly C[]): (C | undefined)[] {
  let next = 0;
  return members.map(({ key }) => (candidates[next]?.key === key ? candidates[next++] : undefined));
}
