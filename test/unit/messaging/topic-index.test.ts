import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { matches } from '../../../src/core/topic.js';
import { TopicIndex } from '../../../src/messaging/topic-index.js';

function indexOf<T>(...entries: readonly (readonly [string, T])[]): TopicIndex<T> {
  const index = new TopicIndex<T>();
  for (const [pattern, value] of entries) index.add(pattern, value);
  return index;
}

describe('TopicIndex', () => {
  it('gives each value once, in the order of being added, whichever of its patterns match', () => {
    const index = indexOf(['a.>', 'late'], ['a.b', 'x'], ['*.b', 'y'], ['a.b', 'z'], ['>', 'x'], ['b', 'w']);
    index.remove('a.>', 'late');
    index.add('a.>', 'late');
    expect(index.match('a.b')).toEqual(['x', 'y', 'z', 'late']);
    expect(index.match('b')).toEqual(['x', 'w']);
    expect(index.match('a.c.d')).toEqual(['x', 'late']);
    expect(indexOf(['a', 1]).match('c')).toEqual([]);
  });

  it('gives the same array until something changes that may concern the topic', () => {
    const index = indexOf(['a.b', 'x'], ['*.b', 'y']);
    const first = index.match('a.b');
    const none = index.match('none');
    expect(index.match('a.b')).toBe(first);
    index.add('a.b', 'x');
    index.remove('a.b', 'nobody');
    index.remove('a.c', 'x');
    index.add('other', 'x');
    expect(index.match('a.b')).toBe(first);
    expect(index.match('none')).toBe(none);
    index.add('a.b', 'z');
    expect(index.match('a.b')).toEqual(['x', 'y', 'z']);
    expect(first).toEqual(['x', 'y']);
    index.remove('*.b', 'y');
    expect(index.match('a.b')).toEqual(['x', 'z']);
    index.add('>', 'all');
    expect(index.match('none')).toEqual(['all']);
  });

  it('tells its patterns and their values', () => {
    const index = indexOf(['a.>', 1], ['a', 1], ['a.>', 2]);
    index.remove('a', 1);
    expect([...index.patterns()]).toEqual([['a.>', [1, 2]]]);
  });

  it('keeps nothing of what was removed, and of patterns below it what is left', () => {
    const index = indexOf(['a.b.c', 1], ['a.b', 2], ['a.b.>', 3], ['a.*', 4]);
    for (const [pattern, value] of [
      ['a.b', 2],
      ['a.b.>', 3],
    ] as const)
      index.remove(pattern, value);
    expect(index.match('a.b.c')).toEqual([1]);
    expect(index.match('a.b')).toEqual([4]);
    index.remove('a.b.c', 1);
    index.remove('a.*', 4);
    expect(index).toEqual(Object.assign(new TopicIndex(), { added: 4, remembered: expect.anything() }));
  });

  it('remembers a bounded number of topics, and is right about all', () => {
    const index = indexOf(['t.*', 1]);
    const topics = Array.from({ length: 25_000 }, (_, topic) => `t.${topic}`);
    expect(topics.every((topic) => index.match(topic)[0] === 1)).toBe(true);
    expect((Reflect.get(index, 'remembered') as Map<string, unknown>).size).toBeLessThanOrEqual(10_000);
  });

  it('matches as comparing the topic with every pattern would', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const topic = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join('.'));
    const wish = fc.oneof({ weight: 3, arbitrary: name }, { weight: 2, arbitrary: fc.constant('*') });
    const pattern = fc
      .tuple(fc.array(wish, { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([names, isOpen]) => (isOpen ? [...names, '>'] : names).join('.'));
    const step = fc.record({ kind: fc.constantFrom('add', 'add', 'remove'), pattern, value: fc.nat(5), topic });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const index = new TopicIndex<number>();
        let entries: { readonly pattern: string; readonly value: number }[] = [];
        for (const given of steps) {
          const isThere = entries.some((entry) => entry.pattern === given.pattern && entry.value === given.value);
          if (given.kind === 'add') {
            index.add(given.pattern, given.value);
            if (!isThere) entries = [...entries, given];
          } else {
            index.remove(given.pattern, given.value);
            entries = entries.filter((entry) => entry.pattern !== given.pattern || entry.value !== given.value);
          }
          const matching = entries.filter((entry) => matches(entry.pattern, given.topic)).map(({ value }) => value);
          expect(index.match(given.topic)).toEqual([...new Set(matching)]);
          expect(index.match(given.topic)).toBe(index.match(given.topic));
        }
        const expected = new Map<string, number[]>();
        for (const entry of entries) expected.set(entry.pattern, [...(expected.get(entry.pattern) ?? []), entry.value]);
        expect(new Map(index.patterns())).toEqual(expected);
      }),
    );
  });
});
