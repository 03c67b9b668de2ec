import { describe, expect, it } from '@jest/globals';
import {
  capabilityViolations,
  checkManifest,
  entryViolations,
  limitViolation,
  type ManifestInput,
} from '../../../src/agent/manifest.js';

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

describe('checkManifest', () => {
  const manifest = { id: 'a-1', kind: 'k' };

  it('takes a manifest that leaves everything to its kind', () => {
    expect(checkManifest(manifest)).toBe(manifest);
    const undefinedFields = { ...manifest, concurrency: undefined, mailboxCapacity: undefined, weight: undefined };
    expect(checkManifest(undefinedFields)).toBe(undefinedFields);
  });

  it.each<[keyof ManifestInput, number]>([
    ['concurrency', 0],
    ['concurrency', 10_001],
    ['mailboxCapacity', 0],
    ['mailboxCapacity', 100_001],
    ['weight', 0],
    ['weight', 1_001],
    ['weight', -1],
    ['weight', 1.5],
    ['weight', Number.NaN],
  ])('refuses a %s of %d', (field, value) => {
    expect(() => checkManifest({ ...manifest, [field]: value })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
    );
  });

  it('names every wrong field at once', () => {
    expect(() => checkManifest({ ...manifest, concurrency: 0, mailboxCapacity: 0, weight: 0 })).toThrow(
      /concurrency: .*mailboxCapacity: .*weight: /,
    );
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
