import { describe, expect, it } from '@jest/globals';
import type { Random } from '../../../src/core/random.js';
import { AdaptiveLimit } from '../../../src/resilience/adaptive-limit.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

interface Load {
  /** Tasks at once above which each is slower in proportion; of the task with this number. */
  readonly knee: (task: number) => number;
  /** How long a task takes below the knee. */
  readonly unloadedMs?: (task: number) => number;
  /** A factor of each task's own. */
  readonly spread?: (random: Random) => number;
  /** Tasks at once that callers have. */
  readonly demand?: number;
  /** They come so many at once, and the next when those have been done and a pause is over. */
  readonly bursts?: { readonly tasks: number; readonly pauseMs: number };
  readonly max: number;
  readonly tasks?: number;
}

const steady = () => 1;
const uniform = (random: Random) => 0.5 + random.next();
const exponential = (random: Random) => -Math.log(1 - random.next());

/** An agent that always has work; gives its limit after each task, and how many tasks a second it did in the second half. */
function simulateOnce({
  knee,
  unloadedMs = () => 100,
  spread = steady,
  demand = Number.POSITIVE_INFINITY,
  bursts = { tasks: Number.POSITIVE_INFINITY, pauseMs: 0 },
  max,
  tasks = 12_000,
  seed,
}: Load & { readonly seed: number }) {
  const random = seededRandom(seed);
  const adaptive = new AdaptiveLimit({ max });
  const limits: number[] = [];
  let endsMs: number[] = [];
  let now = 0;
  let halfAtMs = 0;
  let waiting = bursts.tasks;
  for (let task = 0; task < tasks; task++) {
    if (waiting === 0 && endsMs.length === 0) {
      now += bursts.pauseMs;
      waiting = bursts.tasks;
    }
    while (waiting > 0 && endsMs.length < Math.min(adaptive.limit, demand)) {
      adaptive.begun(now, endsMs.length);
      waiting -= 1;
      const slower = Math.max(1, (endsMs.length + 1) / knee(task));
      endsMs.push(now + unloadedMs(task) * spread(random) * slower);
    }
    now = Math.min(...endsMs);
    const inFlight = endsMs.length;
    const first = endsMs.indexOf(now);
    endsMs = endsMs.filter((_, index) => index !== first);
    adaptive.ended(now, inFlight);
    limits.push(adaptive.limit);
    if (task === tasks / 2) halfAtMs = now;
  }
  return { limits, perSecond: (tasks / 2 / (now - halfAtMs)) * 1_000 };
}

/** Tasks that differ much make a single run say little, once in a hundred: the middle of nine says the same every time. */
const RUNS = 9;

function simulate(load: Load) {
  const runs = Array.from({ length: RUNS }, (_, run) => simulateOnce({ ...load, seed: testSeed + run }));
  const middle = (of: (run: ReturnType<typeof simulateOnce>) => number) => runs.map(of).sort((a, b) => a - b)[RUNS >> 1] ?? 0;
  return {
    limits: runs.flatMap(({ limits }) => limits),
    meanOf: (from: number, to: number) => middle(({ limits }) => meanOf(limits, from, to)),
    perSecond: middle(({ perSecond }) => perSecond),
  };
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const meanOf = (limits: readonly number[], from: number, to: number) => mean(limits.slice(from, to));

describe('AdaptiveLimit', () => {
  it.each([1, 2, 3, 10_000])('stays within 1 and %d', (max) => {
    const { limits } = simulate({ knee: () => 2, max, tasks: 3_000 });
    expect(Math.min(...limits)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...limits)).toBeLessThanOrEqual(max);
    expect(limits.every(Number.isInteger)).toBe(true);
  });

  describe.each([
    ['steady', steady],
    ['uniform', uniform],
    // Tasks that differ much hide what there is to see in a window of a few dozen.
    ['exponential', exponential],
  ])(`for %s tasks (seed ${testSeed})`, (name, spread) => {
    it.each([4, 16, 64])('finds about the knee at %d, and does most of what can be done', (knee) => {
      const { meanOf, perSecond } = simulate({ knee: () => knee, max: 256, spread });
      const found = meanOf(6_000, 12_000);
      const isRough = name === 'exponential';
      expect(found).toBeGreaterThan(knee * (isRough ? 0.5 : 0.7));
      expect(found).toBeLessThan(knee * (isRough ? 3.5 : 1.6));
      expect(perSecond / (knee * 10)).toBeGreaterThan(isRough ? 0.6 : 0.7);
    });

    it('goes down with the knee, and comes back with it', () => {
      const knee = (task: number) => (task >= 6_000 && task < 12_000 ? 4 : 24);
      const { meanOf } = simulate({ knee, max: 256, spread, tasks: 18_000 });
      expect(meanOf(4_000, 6_000)).toBeGreaterThan(14);
      expect(meanOf(9_000, 12_000)).toBeLessThan(name === 'exponential' ? 16 : 8);
      expect(meanOf(15_000, 18_000)).toBeGreaterThan(14);
    });

    it.each([
      [200, 1_000],
      [1_000, 1_000],
      [200, 20],
    ])('does not take the pauses between bursts for work: bursts of %d, %d ms apart', (tasks, pauseMs) => {
      const load = { unloadedMs: () => 10, spread, bursts: { tasks, pauseMs } };
      expect(simulate({ ...load, knee: () => 1_000, max: 32 }).meanOf(6_000, 12_000)).toBeGreaterThan(30);
      expect(simulate({ ...load, knee: () => 1_000, max: 256 }).meanOf(6_000, 12_000)).toBeGreaterThan(200);
      const found = simulate({ ...load, knee: () => 16, max: 256 }).meanOf(6_000, 12_000);
      expect(found).toBeGreaterThan(16 * (name === 'exponential' ? 0.5 : 0.7));
      expect(found).toBeLessThan(16 * (name === 'exponential' ? 3.5 : 1.6));
    });

    it('does not take tasks that got longer for congestion', () => {
      const { meanOf } = simulate({ knee: () => 16, unloadedMs: (task) => (task < 6_000 ? 100 : 700), max: 256, spread });
      expect(meanOf(9_000, 12_000)).toBeGreaterThan(16 * 0.7);
    });
  });

  it('goes to its maximum, and mostly stays there, where more makes nothing slower', () => {
    const { meanOf, perSecond } = simulate({ knee: () => 1_000, max: 32, spread: uniform });
    expect(meanOf(6_000, 12_000)).toBeGreaterThan(30);
    expect(perSecond / 320).toBeGreaterThan(0.9);
  });

  it('says nothing of more than is asked for', () => {
    const { limits } = simulate({ knee: () => 1_000, max: 256, demand: 3 });
    expect(Math.max(...limits)).toBe(4);
  });
});
