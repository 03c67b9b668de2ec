import { describe, expect, it } from '@jest/globals';
import { FramePool, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES } from '../../../src/link/frame-pool.js';

describe('a pool of buffers', () => {
  it.each([
    [1, SMALL_BUFFER_BYTES],
    [SMALL_BUFFER_BYTES, SMALL_BUFFER_BYTES],
    [SMALL_BUFFER_BYTES + 1, LARGE_BUFFER_BYTES],
    [LARGE_BUFFER_BYTES + 1, LARGE_BUFFER_BYTES + 1],
  ])('gives for %d bytes a buffer of %d', (bytes, size) => {
    expect(new FramePool().take(bytes)).toHaveLength(size);
  });

  it('gives the same memory again, the whole of it, once it was given back', () => {
    const pool = new FramePool();
    const buffer = pool.take(10);
    pool.give(buffer.subarray(3, 7));
    const again = pool.take(10);
    expect(again.buffer).toBe(buffer.buffer);
    expect(again).toHaveLength(SMALL_BUFFER_BYTES);
    expect(pool.take(10).buffer).not.toBe(buffer.buffer);
  });

  it('keeps so many at most', () => {
    const pool = new FramePool();
    const buffers = Array.from({ length: 100 }, () => pool.take(LARGE_BUFFER_BYTES));
    for (const buffer of buffers) pool.give(buffer);
    const seen = new Set(buffers.map(({ buffer }) => buffer));
    const again = Array.from({ length: 100 }, () => pool.take(LARGE_BUFFER_BYTES));
    expect(again.filter(({ buffer }) => seen.has(buffer))).toHaveLength(32);
  });

  it('does not keep what is larger than its buffers', () => {
    const pool = new FramePool();
    const large = pool.take(LARGE_BUFFER_BYTES + 1);
    pool.give(large);
    expect(pool.take(LARGE_BUFFER_BYTES + 1).buffer).not.toBe(large.buffer);
  });
});
