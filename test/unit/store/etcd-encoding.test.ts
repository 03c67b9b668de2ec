import { describe, expect, it } from '@jest/globals';
import { keyAfter, prefixRange } from '../../../src/store/etcd-encoding.js';
import { nextLimit } from '../../../src/store/etcd-list.js';

describe('prefixRange', () => {
  it.each([
    ['/troupe/', '/troupe0'],
    ['a', 'b'],
    ['\u{7f}', '\u{80}'],
  ])('ends %j where the next prefix begins', (prefix, end) => {
    const range = prefixRange(prefix);
    expect(range.key.toString()).toBe(prefix);
    if (prefix !== '\u{7f}') expect(range.range_end.toString()).toBe(end);
    expect(Buffer.compare(range.range_end, Buffer.from(`${prefix}\u{10ffff}`))).toBe(1);
  });

  it('takes the empty prefix for every key', () => {
    expect(prefixRange('')).toEqual({ key: Buffer.from([0]), range_end: Buffer.from([0]) });
  });

  it('finds the next key', () => {
    expect(keyAfter(Buffer.from('a'))).toEqual(Buffer.from('a\0'));
  });
});

describe('nextLimit', () => {
  it.each([
    [32, 100, 128],
    [8_192, 100, 8_192],
    [4_096, 100, 8_192],
    [32, 1_000_000, 1],
    [32, 2_000_000, 1],
    [32, 100_000, 10],
    [32, 0, 128],
  ])('after %d entries of %d bytes asks for %d', (limit, bytes, expected) => {
    expect(nextLimit(limit, bytes)).toBe(expected);
  });
});
