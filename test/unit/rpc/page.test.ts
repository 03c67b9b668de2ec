import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readPage } from '../../../src/rpc/page.js';

const self = (key: string) => key;
const keys = (count: number) => Array.from({ length: count }, (_, i) => `k${String(i).padStart(5, '0')}`);

describe('readPage', () => {
  it('gives everything once, by key, in pages of the size that was asked for', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 50 }),
        fc.integer({ min: 1, max: 10 }),
        (all, pageSize) => {
          const got: string[] = [];
          let pageToken = '';
          do {
            const page = readPage(all, { pageSize, pageToken }, self);
            expect(page.items.length).toBeLessThanOrEqual(pageSize);
            got.push(...page.items);
            pageToken = page.nextPageToken;
          } while (pageToken !== '');
          expect(got).toEqual([...all].sort((a, b) => (a < b ? -1 : 1)));
        },
      ),
    );
  });

  it('gives 100 when no size is asked for, and at most 1000', () => {
    expect(readPage(keys(2_000), { pageSize: 0, pageToken: '' }, self).items).toHaveLength(100);
    expect(readPage(keys(2_000), { pageSize: 5_000, pageToken: '' }, self).items).toHaveLength(1_000);
  });

  it('ends a page at 2 MiB, but not before its first item', () => {
    const sizes = new Map([
      ['a', 1_500_000],
      ['b', 500_000],
      ['c', 3_000_000],
      ['d', 1],
    ]);
    const pages: string[][] = [];
    let pageToken = '';
    do {
      const page = readPage(sizes.keys(), { pageSize: 0, pageToken }, self, (key) => sizes.get(key) ?? 0);
      pages.push(page.items);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(pages).toEqual([['a', 'b'], ['c'], ['d']]);
  });

  it('has no next page when the last one is exactly full', () => {
    expect(readPage(keys(10), { pageSize: 10, pageToken: '' }, self).nextPageToken).toBe('');
  });

  it('neither repeats nor skips what stays when the list changes between pages', () => {
    const { nextPageToken } = readPage(['a', 'c', 'e'], { pageSize: 2, pageToken: '' }, self);
    expect(readPage(['b', 'd', 'e'], { pageSize: 2, pageToken: nextPageToken }, self).items).toEqual(['d', 'e']);
  });

  it('names what is wrong', () => {
    expect(() => readPage([], { pageSize: -1, pageToken: '' }, self)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field: 'page_size' })] }),
    );
    for (const pageToken of [
      'x',
      'k:a',
      '!!!!',
      Buffer.from('a').toString('base64url'),
      `${Buffer.from('k:a').toString('base64url')}=`,
    ]) {
      expect(() => readPage([], { pageSize: 1, pageToken }, self)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field: 'page_token' })] }),
      );
    }
  });
});
