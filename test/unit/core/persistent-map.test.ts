import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PersistentMap } from '../../../src/core/persistent-map.js';

const change = fc.tuple(
  fc.oneof(fc.constantFrom('a', 'b', 'c', '__proto__', ''), fc.string()),
  fc.option(fc.integer(), { nil: undefined }),
);

function sorted(entries: Iterable<readonly [string, number]>): [string, number][] {
  return [...entries].map(([key, value]): [string, number] => [key, value]).sort(([a], [b]) => (a < b ? -1 : 1));
}

function apply(model: ReadonlyMap<string, number>, changes: readonly (readonly [string, number | undefined])[]) {
  const next = new Map(model);
  for (const [key, value] of changes) {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  }
  return next;
}

describe('PersistentMap', () => {
  it('is what a Map would be after the same changes, and earlier copies stay as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 20 }), { maxLength: 20 }), (batches) => {
        let map = PersistentMap.empty<number>();
        let model: ReadonlyMap<string, number> = new Map();
        const history = [{ map, model }];
        for (const batch of batches) {
          map = map.with(batch);
          model = apply(model, batch);
          history.push({ map, model });
        }
        for (const then of history) {
          expect(then.map.size).toBe(then.model.size);
          expect(sorted(then.map.entries())).toEqual(sorted(then.model));
          expect([...then.map.values()].sort((a, b) => a - b)).toEqual([...then.model.values()].sort((a, b) => a - b));
          for (const [key, value] of then.model) expect(then.map.get(key)).toBe(value);
        }
      }),
    );
  });

  it('keeps everything while it grows, and shrinks to nothing', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `key-${i}`);
    let map = PersistentMap.empty<number>();
    for (let from = 0; from < keys.length; from += 1_000)
      map = map.with(keys.slice(from, from + 1_000).map((key, i) => [key, from + i]));
    expect(map.size).toBe(20_000);
    expect(keys.every((key, index) => map.get(key) === index)).toBe(true);
    expect(new Set([...map.entries()].map(([key]) => key)).size).toBe(20_000);
    const full = map;
    for (const key of keys) map = map.with([[key, undefined]]);
    expect(map.size).toBe(0);
    expect([...map.entries()]).toEqual([]);
    expect(full.size).toBe(20_000);
  });

  it('spreads keys that differ at their end only', () => {
    const map = PersistentMap.empty<number>().with(
      Array.from({ length: 10_000 }, (_, i) => [`agent-${String(i).padStart(8, '0')}`, i]),
    );
    const shards = Reflect.get(map, 'shards') as readonly Map<string, number>[];
    expect(Math.max(...shards.map(({ size }) => size))).toBeLessThan((10_000 / shards.length) * 4);
  });

  it('is itself when nothing is to change', () => {
    const map = PersistentMap.empty<number>().with([['a', 1]]);
    expect(map.with([])).toBe(map);
  });
});
