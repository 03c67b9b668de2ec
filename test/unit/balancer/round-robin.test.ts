import { describe, expect, it } from '@jest/globals';
import { strategies } from '../../../src/balancer/strategies.js';
import { candidates, deps, tally } from './candidates.js';

const keysOf = (picks: number, picker: { pick(request: object): { readonly key: string } | undefined }) =>
  Array.from({ length: picks }, () => picker.pick({})?.key);

describe('round robin', () => {
  it('takes turns, also round the end', () => {
    expect(keysOf(7, strategies.round_robin(candidates(3), deps()))).toEqual(['c1', 'c2', 'c0', 'c1', 'c2', 'c0', 'c1']);
  });

  it('begins where its memory says', () => {
    expect(keysOf(2, strategies.round_robin(candidates(3), deps({ memory: { turn: 1_000_001 } })))).toEqual(['c0', 'c1']);
  });

  it('goes on where it was when a member comes, and when the one before goes', () => {
    const shared = deps();
    const all = candidates(4);
    expect(keysOf(2, strategies.round_robin(all.slice(0, 3), shared))).toEqual(['c1', 'c2']);
    expect(keysOf(4, strategies.round_robin(all, shared))).toEqual(['c3', 'c0', 'c1', 'c2']);
    const withoutC2 = all.filter(({ key }) => key !== 'c2');
    expect(keysOf(3, strategies.round_robin(withoutC2, shared))).toEqual(['c3', 'c0', 'c1']);
  });

  it('gives one who is away now and then his turns when he is back', () => {
    const shared = deps();
    const all = candidates(2);
    const picked = Array.from(
      { length: 8 },
      (_, i) => strategies.round_robin(i % 2 === 0 ? all : all.slice(0, 1), shared).pick({})?.key,
    );
    expect(picked.filter((_, i) => i % 2 === 0)).toEqual(['c1', 'c1', 'c1', 'c1']);
  });

  it('gives the turns of one that is excluded to all others', () => {
    const picker = strategies.round_robin(candidates(3), deps());
    expect(tally(() => picker.pick({ excluded: new Set(['c1']) }), 300)).toEqual(
      new Map([
        ['c2', 150],
        ['c0', 150],
      ]),
    );
  });
});
