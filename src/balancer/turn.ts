import type { Candidate } from './picker.js';

/** Gives candidates in turn. They are in the order of their keys, so that a turn goes on behind the last key when others come and go. */
export class Turn<C extends Candidate> {
  /** Whose turn it was before these candidates came, who may be gone, until one of them has had his. */
  private before: string | undefined;

  /** @param last whose turn it was last: the index of one, or -1. */
  constructor(
    private readonly candidates: readonly C[],
    private last: number,
  ) {}

  /** The turns of these candidates after those of `before`. */
  static after<C extends Candidate>(before: Turn<Candidate>, candidates: readonly C[]): Turn<C> {
    const key = before.before ?? before.candidates[before.last]?.key;
    const turn = new Turn(candidates, key === undefined ? -1 : countUpTo(key, candidates) - 1);
    turn.before = key;
    return turn;
  }

  /** The next one that is not excluded, who has his turn then; undefined, and nothing changed, when there is none. */
  next(excluded: ReadonlySet<string> | undefined): C | undefined {
    const { candidates } = this;
    let index = this.last;
    for (let step = 0; step < candidates.length; step++) {
      index = index + 1 < candidates.length ? index + 1 : 0;
      const candidate = candidates[index];
      if (candidate === undefined || excluded?.has(candidate.key)) continue;
      this.last = index;
      this.before = undefined;
      return candidate;
    }
    return undefined;
  }

  /** Whether `next` would give one. */
  hasAllowed(excluded: ReadonlySet<string>): boolean {
    return this.candidates.some(({ key }) => !excluded.has(key));
  }

  get size(): number {
    return this.candidates.length;
  }
}

/** How many come no later than `key`. */
function countUpTo(key: string, candidates: readonly Candidate[]): number {
  let low = 0;
  let high = candidates.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((candidates[middle]?.key ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
