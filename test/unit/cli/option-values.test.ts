import { describe, expect, test } from '@jest/globals';
import { InvalidArgumentError } from 'commander';
import { amount, count, durationMs, entry, graceMs, id, ids, jsonObject, moreIds } from '../../../src/cli/option-values.js';

describe('durationMs', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['3600s', 3_600_000],
  ])('reads %s', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  test.each(['', '30', 's', '-1s', '1 s', '1d', '1s2ms', 'soon', '1e3s', '0s', '0.1ms', '61m', '2h'])('refuses "%s"', (text) => {
    expect(() => durationMs(text)).toThrow(InvalidArgumentError);
  });

  test('a grace time may be 0', () => {
    expect(graceMs('0s')).toBe(0);
  });
});

describe('amount', () => {
  test.each([
    ['0', 0],
    ['100', 100],
    ['12.5', 12.5],
  ])('reads %s', (text, value) => {
    expect(amount(text)).toBe(value);
  });

  test.each(['', '-1', '.5', '1e3', '0x10', 'Infinity', 'many', '9'.repeat(400)])('refuses "%s"', (text) => {
    expect(() => amount(text)).toThrow('It must be a number, such as 100 or 12.5.');
  });
});

describe('entry', () => {
  test('collects keys with values, which may have "=" in them or be empty', () => {
    expect(entry('c=', entry('b=x=y', entry('a=1')))).toEqual({ a: '1', b: 'x=y', c: '' });
  });

  test('of the same key the last one counts', () => {
    expect(entry('a=2', entry('a=1'))).toEqual({ a: '2' });
  });

  test('takes "__proto__" as a key like any other', () => {
    expect(Object.keys(entry('__proto__=1'))).toEqual(['__proto__']);
  });

  test.each(['', 'a', '=1'])('refuses "%s"', (text) => {
    expect(() => entry(text)).toThrow('It must be key=value.');
  });
});

describe('ids', () => {
  test('reads names between commas', () => {
    expect(ids('testing, code_review')).toEqual(['testing', 'code_review']);
    expect(moreIds('c', moreIds('a,b'))).toEqual(['a', 'b', 'c']);
  });

  test.each(['', 'a,', 'A', 'a b', '-a', 'a'.repeat(64)])('refuses "%s"', (text) => {
    expect(() => ids(text)).toThrow(InvalidArgumentError);
  });

  test('says what an id must be', () => {
    expect(() => id('Data')).toThrow('It must be 1 to 63 of a-z, 0-9, ".", "_", "-", and start with a letter or digit.');
  });
});

test('count takes whole numbers from 1 to its most', () => {
  expect(count(10)('1')).toBe(1);
  expect(count(10)('10')).toBe(10);
  for (const text of ['0', '11', '-1', '1.5', 'x', '', '1e1']) expect(() => count(10)(text)).toThrow('from 1 to 10');
});

test('jsonObject takes objects only', () => {
  expect(jsonObject('{"a": [1]}')).toEqual({ a: [1] });
  for (const text of ['[]', 'null', '1', '"x"']) expect(() => jsonObject(text)).toThrow('must be a JSON object');
  expect(() => jsonObject('{a')).toThrow('It must be JSON: ');
});
