import { describe, expect, it } from '@jest/globals';
import { compareKeys } from '../../../src/store/key-order.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

describe('compareKeys', () => {
  it(`orders as the UTF-8 bytes do (seed ${testSeed})`, () => {
    const random = seededRandom(testSeed);
    const alphabet = ['a', 'b', '/', '\u{7f}', 'é', '\u{d7ff}', '\u{e000}', '\u{ffff}', '\u{10000}', '\u{1f600}', '\u{10ffff}'];
    const word = () => Array.from({ length: 4 }, () => alphabet[Math.floor(random.next() * alphabet.length)]).join('');
    for (let i = 0; i < 2_000; i++) {
      const [a, b] = [word(), word().slice(0, 1 + Math.floor(random.next() * 3) * 2)];
      if (!isWhole(b)) continue;
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }
  });
});

/** Not cut within a pair of surrogates. */
function isWhole(text: string): boolean {
  return Buffer.from(text).toString() === text;
}
