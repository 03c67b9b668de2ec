import type { Random } from '../core/random.js';
import { Lottery, weightsOf } from './lottery.js';
import type { BuildPicker, Candidate } from './picker.js';

/** Up to this many candidates the true minimum is cheap. */
const EXACT_UP_TO = 16;

/**
 * The least work for its weight: the exact minimum of a small set, else the better of two drawn at random (power of two choices;
 * Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001), which keeps many routers from running after the same
 * minimum. The two are drawn as often as their weights say, without which a large set could not fill a heavy one (Berenbrink et al.,
 * "Balls into Non-uniform Bins", 2014). Ties, so an idle set, are broken at random by weight.
 */
export const leastConnections: BuildPicker = (candidates, { random, clock }) => {
  if (candidates.length <= EXACT_UP_TO)
    return { pick: ({ excluded }) => least(candidates, excluded, random, clock.monotonicMs()) };
  const weights = weightsOf(candidates);
  const lottery = new Lottery(candidates, random, weights);
  const loads = candidates.map(({ load }) => load);
  return {
    pick({ excluded }) {
      const first = lottery.draw(excluded);
      const second = lottery.draw(excluded);
      const firstLoad = loads[first];
      const secondLoad = loads[second];
      if (firstLoad === undefined || secondLoad === undefined) return undefined;
      // Read before it is known which of them it is, or the processor would wait for memory once more then.
      const firstCandidate = candidates[first];
      const secondCandidate = candidates[second];
      const firstWeight = weights[first] ?? 1;
      const secondWeight = weights[second] ?? 1;
      // work / weight of each, multiplied out. The clock, which takes as long as the rest, is read only where it can matter.
      if (firstLoad.mostWork * secondWeight <= secondLoad.inFlight * firstWeight) return firstCandidate;
      if (secondLoad.mostWork * firstWeight < firstLoad.inFlight * secondWeight) return secondCandidate;
      const nowMs = clock.monotonicMs();
      return secondLoad.work(nowMs) * firstWeight < firstLoad.work(nowMs) * secondWeight ? secondCandidate : firstCandidate;
    },
  };
};

/** How full a candidate is. */
export function workForWeight({ load, weight }: Candidate, nowMs: number): number {
  return load.work(nowMs) / weight;
}

function least<C extends Candidate>(
  candidates: readonly C[],
  excluded: ReadonlySet<string> | undefined,
  random: Random,
  nowMs: number,
): C | undefined {
  let best: C | undefined;
  let bestWork = Number.POSITIVE_INFINITY;
  let tiedWeight = 0;
  for (const candidate of candidates) {
    if (excluded?.has(candidate.key)) continue;
    const work = workForWeight(candidate, nowMs);
    if (work > bestWork) continue;
    // Reservoir sampling: each of those that are tied is the last one to stay as often as its weight says.
    tiedWeight = work < bestWork ? candidate.weight : tiedWeight + candidate.weight;
    if (work < bestWork || random.next() * tiedWeight < candidate.weight) best = candidate;
    bestWork = work;
  }
  return best;
}
