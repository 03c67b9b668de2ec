import { describe, expect, it } from '@jest/globals';
import { capabilityViolations, entryViolations, limitViolation } from '../../../src/agent/manifest.js';

const entries = (count: number): [string, string][] => Array.from({ length: count }, (_, i) => [`key-${i}`, 'value']);

describe('limitViolation', () => {
  it.each([1, 2, 1000])('allows %d of 1 to 1000', (value) => {
    expect(limitViolation('weight', value, 1000)).toBeUndefined();
  });

  it.each([0, -1, 1001, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d of 1 to 1000', (value) => {
    expect(limitViolation('weight', value, 1000)).toEqual({
      field: 'weight',
      description: 'must be a whole number from 1 to 1000',
    });
  });
});

describe('capabilityViolations', () => {
  it('allows none at all: a manifest then means what the kind declares', () => {
    expect(capabilityViolations('capabilities', [])).toEqual([]);
  });
});

describe('entryViolations', () => {
  it.each<[string, [string, string][]]>([
    ['no entries', []],
    ['64 entries', entries(64)],
    ['a key of 255 bytes', [['k'.repeat(255), '']]],
    ['a value of 1 KiB', [['key', 'v'.repeat(1024)]]],
    ['an empty value', [['key', '']]],
  ])('allows %s', (_name, given) => {
    expect(entryViolations('labels', given)).toEqual([]);
  });

  it.each<[string, [string, string][], string, string]>([
    ['65 entries', entries(65), 'labels', 'at most 64 entries are allowed'],
    ['an empty key', [['', 'value']], 'labels', 'a key must be 1 to 255 bytes'],
    ['a key of 256 bytes', [['ü'.repeat(128), 'value']], 'labels', 'a key must be 1 to 255 bytes'],
    ['a value above 1 KiB', [['key', 'ü'.repeat(513)]], 'labels["key"]', 'must be at most 1024 bytes'],
  ])('refuses %s', (_name, given, field, description) => {
    expect(entryViolations('labels', given)).toEqual([{ field, description }]);
  });

  it('names every wrong entry', () => {
    const big = 'v'.repeat(1025);
    expect(
      entryViolations('labels', [
        ['a', big],
        ['b', 'fine'],
        ['c', big],
      ]).map(({ field }) => field),
    ).toEqual(['labels["a"]', 'labels["c"]']);
  });
});
