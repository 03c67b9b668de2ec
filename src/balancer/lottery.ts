import { type Random, randomInt } from '../core/random.js';
import { AliasTable } from './alias-table.js';
import type { Candidate } from './picker.js';

/** Up to this many candidates one look at each costs about as much as a few draws. */
const SCAN_UP_TO = 16;
/** So often a large set is drawn from again; only where about everybody is excluded are they looked at one by one then. */
const MAX_DRAWS = 16;

/** Draws candidates at random: all alike, or as often as their weights say. Exact whatever is excluded. */
export class Lottery {
  /** Undefined where all have the same chance. */
  private readonly table: AliasTable | undefined;

  /** @param weights `weightsOf` the candidates; not given: all have the same chance. */
  constructor(
    private readonly candidates: readonly Candidate[],
    private readonly random: Random,
    weights?: Uint16Array,
  ) {
    const first = weights?.[0];
    if (weights?.every((weight) => weight === first) === false) this.table = new AliasTable(weights);
  }

  /** The index of one; of no candidate when all are excluded or there are none. */
  draw(excluded: ReadonlySet<string> | undefined): number {
    if (excluded === undefined) return this.drawAny();
    if (this.candidates.length <= SCAN_UP_TO) return this.scan(excluded);
    for (let draws = 0; draws < MAX_DRAWS; draws++) {
      const index = this.drawAny();
      const candidate = this.candidates[index];
      if (candidate !== undefined && !excluded.has(candidate.key)) return index;
    }
    return this.scan(excluded);
  }

  private drawAny(): number {
    const { candidates, random, table } = this;
    return table === undefined ? randomInt(random, candidates.length) : table.draw(random);
  }

  private scan(excluded: ReadonlySet<string>): number {
    let chances = 0;
    for (const candidate of this.candidates) if (!excluded.has(candidate.key)) chances += this.chancesOf(candidate);
    const drawn = this.random.next() * chances;
    let passed = 0;
    return this.candidates.findIndex((candidate) => {
      if (excluded.has(candidate.key)) return false;
      passed += this.chancesOf(candidate);
      return drawn < passed;
    });
  }

  private chancesOf({ weight }: Candidate): number {
    return this.table === undefined ? 1 : weight;
  }
}

/** Side by side, where a walk over the candidates themselves would cost a cache miss for each. */
export function weightsOf(candidates: readonly Candidate[]): Uint16Array {
  const weights = new Uint16Array(candidates.length);
  candidates.forEach(({ weight }, index) => {
    weights[index] = weight;
  });
  return weights;
}
