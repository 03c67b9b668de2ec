import { describe, expect, it } from '@jest/globals';
import { STRATEGY_NAMES, strategies, strategyIn } from '../../../src/balancer/strategies.js';
import { preferZone } from '../../../src/balancer/zone-preference.js';
import { FakeClock } from '../../support/fake-clock.js';
import { begin, candidate, candidates, deps, report, tally } from './candidates.js';

const here = (key: string, weight = 1) => candidate(key, { zone: 'here', weight });
const there = (key: string, weight = 1) => candidate(key, { zone: 'there', weight });
const build = preferZone('here', strategies.round_robin);

describe('a zone preference', () => {
  it('keeps to the own zone, however much is under way there, as long as nobody told that he is busy', () => {
    const [a, b, c] = [here('a'), here('b'), there('c')];
    begin(a, 1_000);
    begin(b, 1_000);
    expect(tally(() => build([a, b, c], deps()).pick({}), 10).has('c')).toBe(false);
  });

  it('goes elsewhere while the one here is busy and the one there is not', async () => {
    const clock = new FakeClock();
    const [a, b] = [here('a'), there('b')];
    const picker = build([a, b], deps({ clock }));
    a.load.report(report(1, { queued: 3 }), 0);
    begin(b, 100);
    expect(picker.pick({})).toBe(b);
    await clock.advance(1_000);
    expect(picker.pick({})).toBe(a);
  });

  it('of two that are busy takes the one with less work for its weight, here if that is the same', () => {
    const [a, b] = [here('a'), there('b', 2)];
    const picker = build([a, b], deps());
    a.load.report(report(1, { queued: 1 }), 0);
    b.load.report(report(1, { queued: 3 }), 0);
    expect(picker.pick({})).toBe(a);
    a.load.report(report(1, { queued: 2 }), 0);
    expect(picker.pick({})).toBe(b);
  });

  it('stays here where the busy one is the only one left', () => {
    const [a, b] = [here('a'), there('b')];
    a.load.report(report(1, { queued: 1 }), 0);
    expect(build([a, b], deps()).pick({ excluded: new Set(['b']) })).toBe(a);
  });

  it('chooses among the others where all who are here are excluded, or nobody is here', () => {
    const [a, b, c] = [here('a'), there('b'), there('c')];
    expect(build([a, b], deps()).pick({ excluded: new Set(['a']) })).toBe(b);
    expect([...tally(() => build([b, c], deps({ memory: shared.memory })).pick({}), 4).keys()].sort()).toEqual(['b', 'c']);
  });
  const shared = deps();

  it('goes on with the turns of both zones when members change', () => {
    const memory = deps().memory;
    const all = [here('a'), here('b'), there('c'), there('d')];
    const turns = Array.from({ length: 4 }, () => build(all, deps({ memory })).pick({})?.key);
    expect(turns).toEqual(['b', 'a', 'b', 'a']);
    const away = new Set(['a', 'b']);
    expect(Array.from({ length: 4 }, () => build(all, deps({ memory })).pick({ excluded: away })?.key)).toEqual([
      'd',
      'c',
      'd',
      'c',
    ]);
  });

  it('is none where there is no own zone, and none of consistent hashing', () => {
    for (const name of STRATEGY_NAMES) expect(strategyIn('', name)).toBe(strategies[name]);
    expect(strategyIn('here', 'consistent_hash')).toBe(strategies.consistent_hash);
    expect(tally(() => strategyIn('here', 'random')(candidates(3, { zone: 'there' }), deps()).pick({}), 50).size).toBeGreaterThan(
      0,
    );
  });
});
