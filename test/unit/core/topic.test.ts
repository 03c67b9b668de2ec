import { describe, expect, it } from '@jest/globals';
import { isTopic, matches, patternViolation, topicViolation } from '../../../src/core/topic.js';

const NAME = 'n'.repeat(63);
const names = (count: number) => Array.from({ length: count }, () => 'a').join('.');

describe('topicViolation', () => {
  it.each(['a', 'orders.created', 'A-1._x.9', NAME, names(16), `${NAME}.${NAME}.${NAME}.${NAME}`])('takes %s', (topic) => {
    expect(topicViolation('topic', topic)).toBeUndefined();
  });

  it.each([
    ' ',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a/b',
    'ä',
    'a\n',
    '*',
    'a.>',
    'a*',
    `${NAME}n`,
    names(17),
    `${NAME}.${NAME}.${NAME}.${NAME}.`,
    `${NAME}.${NAME}.${NAME}.${NAME}.a`,
  ])('refuses %j, and says what it must be', (topic) => {
    expect(topicViolation('topic', topic)).toEqual({
      field: 'topic',
      description: expect.stringMatching(/^must be 1 to 16 names/),
    });
  });

  it('says that it is missing', () => {
    expect(topicViolation('topic', '')?.description).toMatch(/^is required; must be/);
    expect(patternViolation('topics[0]', '')).toEqual({
      field: 'topics[0]',
      description: expect.stringMatching(/^is required; /),
    });
  });
});

describe('patternViolation', () => {
  it.each(['a', '*', '>', '*.*', 'a.*.c', 'a.>', '*.>', NAME, names(16), `${names(15)}.>`, `${names(15)}.*`])(
    'takes %s',
    (pattern) => {
      expect(patternViolation('pattern', pattern)).toBeUndefined();
    },
  );

  it.each(['a*', '**', 'a.b*', '>.a', 'a.>.b', 'a>', '>>', 'a..*', '.>', '>.', 'a b', '*\n', names(17), `${names(16)}.>`])(
    'refuses %j, and says what it must be',
    (pattern) => {
      expect(patternViolation('pattern', pattern)?.description).toMatch(/">" at the end for one or more$/);
    },
  );

  it('is done soon with a long one that is wrong at its end', () => {
    const started = performance.now();
    for (const piece of ['a.', '*.', 'a'.repeat(63)]) patternViolation('pattern', `${piece.repeat(100_000)}!`);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('matches', () => {
  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.b', 'a.b.c', false],
    ['a.b', 'A.b', false],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['a.*', 'a', false],
    ['a.*.c', 'a.b.c', true],
    ['a.*.c', 'a.b.b.c', false],
    ['>', 'a', true],
    ['>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['a.>', 'a.b', true],
    ['a.>', 'a.b.c', true],
    ['a.>', 'b.c', false],
    ['*.b.>', 'a.b.c.d', true],
    ['*.b.>', 'a.c.c.d', false],
  ])('%s and %s: %s', (pattern, topic, expected) => {
    expect(matches(pattern, topic)).toBe(expected);
  });
});

describe('isTopic', () => {
  it('tells patterns that stand for one topic from those that have wildcards', () => {
    expect(['a', 'a.b', '*', 'a.*', '>', 'a.>'].map(isTopic)).toEqual([true, true, false, false, false, false]);
  });
});
