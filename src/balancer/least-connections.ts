import { randomInt } from '../core/random.js';
import { type BuildPicker, type Candidate, firstAllowed } from './picker.js';

/** Up to this many candidates the true minimum is cheap. */
const EXACT_UP_TO = 16;

/**
 * The fewest calls in flight: the exact minimum of a small set, else the better of two drawn at random (power of two
 * choices; Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001), which keeps many routers from
 * running after the same minimum. Ties are broken at random.
 */
export const leastConnections: BuildPicker = (candidates, { random }) => ({
  pick({ excluded }) {
    const start = randomInt(random, candidates.length);
    if (candidates.length <= EXACT_UP_TO) return least(candidates, start, excluded);
    const first = candidates[start];
    const second = candidates[(start + 1 + randomInt(random, candidates.length - 1)) % candidates.length];
    if (first === undefined || second === undefined || excluded?.has(first.key) || excluded?.has(second.key)) {
      return firstAllowed(candidates, start, excluded);
    }
    return second.load.inFlight < first.load.inFlight ? second : first;
  },
});

function least<C extends Candidate>(
  candidates: readonly C[],
  start: number,
  excluded: ReadonlySet<string> | undefined,
): C | undefined {
  let best: C | undefined;
  for (let step = 0; step < candidates.length; step++) {
    const candidate = candidates[(start + step) % candidates.length];
    if (candidate === undefined || excluded?.has(candidate.key)) continue;
    if (best === undefined || candidate.load.inFlight < best.load.inFlight) best = candidate;
  }
  return best;
}
