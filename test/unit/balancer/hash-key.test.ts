import { describe, expect, it } from '@jest/globals';
import { hashKey, murmur3 } from '../../../src/balancer/hash-key.js';

describe('hashKey', () => {
  // MurmurHash3_x86_32 of UTF-8, seed 0; the first five are published for many implementations, all were computed with another one.
  it.each([
    ['', 0],
    ['test', 0xba6bd213],
    ['Hello, world!', 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
    ['abc', 0xb3dd93fa],
    ['aa', 0x371091a9],
    ['customer-42', 0x0d208335],
    ['会話/7', 0xbc4dbf40],
  ])('of %j is %d, in every process and for ever', (text, hash) => {
    expect(hashKey(text)).toBe(hash);
  });

  it('is MurmurHash3 with other seeds too', () => {
    expect(murmur3(Buffer.from(''), 0, 1)).toBe(0x514e28b7);
    expect(murmur3(Buffer.from(''), 0, 0xffffffff)).toBe(0x81f16f39);
    expect(murmur3(Buffer.from('ffffffff', 'hex'), 4, 0)).toBe(0x76293b50);
    expect(murmur3(Buffer.from('21436587', 'hex'), 4, 0x5082edee)).toBe(0x2362f9de);
    expect(murmur3(Buffer.from('21436587', 'hex'), 3, 0)).toBe(0x7e4a8634);
  });

  it('spreads keys that differ little over all ranges alike', () => {
    const counts = new Array<number>(64).fill(0);
    for (let i = 0; i < 64_000; i++) {
      const range = hashKey(`session-${i}`) >>> 26;
      counts[range] = (counts[range] ?? 0) + 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
    // 63 degrees of freedom: above 117 in 1 of 100,000 cases.
    expect(chiSquare).toBeLessThan(117);
  });
});
