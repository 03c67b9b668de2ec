import { Load } from '../../../src/balancer/load.js';
import type { Candidate, PickerDeps } from '../../../src/balancer/picker.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

/** One that is idle and has told nothing. */
export function candidate(key: string, more: Partial<Candidate> = {}): Candidate {
  return { key, weight: 1, zone: '', load: new Load(), ...more };
}

/** c0, c1, …, with these weights, or so many of weight 1. */
export function candidates(weights: number | readonly number[], more: Partial<Candidate> = {}): Candidate[] {
  const all = typeof weights === 'number' ? Array.from({ length: weights }, () => 1) : weights;
  return all.map((weight, i) => candidate(`c${i}`, { ...more, weight, load: new Load() }));
}

/** Chance that repeats itself, a clock that stands still, nothing remembered. */
export function deps(more: Partial<PickerDeps> = {}): PickerDeps {
  return { random: seededRandom(testSeed), clock: new FakeClock(), memory: { turn: 0 }, ...more };
}

/** Gives a load so many calls under way. */
export function begin({ load }: Candidate, calls: number): void {
  for (let i = 0; i < calls; i++) load.begin();
}

/** How often each is picked when every call ends before the next begins. */
export function tally(pick: () => Candidate | undefined, picks: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < picks; i++) {
    const key = pick()?.key ?? 'none';
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** A report of one that does `inFlight` tasks and says no more. */
export function report(inFlight: number, more: { readonly queued?: number; readonly limit?: number } = {}) {
  return { inFlight, queued: 0, limit: 0, eventLoopDelayMs: 0, cpu: 0, ...more };
}
