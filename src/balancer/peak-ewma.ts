import { Lottery } from './lottery.js';
import type { BuildPicker } from './picker.js';

/** So often the second one is drawn again where it is the first one: even of two, both are seen in all but 1 of 256 picks. */
const MAX_REDRAWS = 7;

/**
 * The lower cost, latency × calls in flight, of two drawn at random, as in Finagle (`PeakEwma.scala`; a latency above the average counts at
 * once, one below by and by). Two drawn of a small set too, instead of its minimum: the minimum sends all calls of a quiet time to
 * the one that was fastest last. Weights play no part: what an instance can take shows in its latency.
 */
export const peakEwma: BuildPicker = (candidates, { random }) => {
  const lottery = new Lottery(candidates, random);
  const loads = candidates.map(({ load }) => load);
  const redraws = candidates.length > 1 ? MAX_REDRAWS : 0;
  return {
    pick({ excluded }) {
      const first = lottery.draw(excluded);
      let second = lottery.draw(excluded);
      for (let i = 0; second === first && i < redraws; i++) second = lottery.draw(excluded);
      const firstLoad = loads[first];
      const secondLoad = loads[second];
      if (firstLoad === undefined || secondLoad === undefined) return undefined;
      return candidates[secondLoad.isCheaperThan(firstLoad) ? second : first];
    },
  };
};
