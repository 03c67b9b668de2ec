import { describe, expect, it } from '@jest/globals';
import { BatchQueue } from '../../../src/core/batch-queue.js';

const LIMITS = { batchBytes: 10, queueBytes: 30 };

async function take(queue: BatchQueue<string>, batches: number): Promise<string[][]> {
  const taken: string[][] = [];
  for await (const batch of queue) {
    taken.push(batch);
    if (taken.length === batches) break;
  }
  return taken;
}

describe('BatchQueue', () => {
  it('delivers what is pushed in one turn together, in order', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    const reading = take(queue, 1);
    for (const item of ['a', 'b', 'c']) expect(queue.push(item, 1)).toBe(true);
    expect(await reading).toEqual([['a', 'b', 'c']]);
  });

  it('delivers what came while the consumer was busy as one batch', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    queue.push('a', 1);
    const iterator = queue[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual(['a']);
    queue.push('b', 1);
    queue.push('c', 1);
    expect((await iterator.next()).value).toEqual(['b', 'c']);
  });

  it('cuts a batch at its bytes, but never sends an empty one', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    for (const [item, bytes] of [
      ['large', 15],
      ['b', 6],
      ['c', 6],
    ] as const)
      queue.push(item, bytes);
    expect(await take(queue, 3)).toEqual([['large'], ['b'], ['c']]);
  });

  it('refuses what does not fit, and takes again when there is room', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    expect(queue.push('a', 30)).toBe(true);
    expect(queue.push('b', 1)).toBe(false);
    expect(await take(queue, 1)).toEqual([['a']]);
    expect(queue.push('b', 1)).toBe(true);
  });

  it('delivers what is queued after it was closed, then ends', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    queue.push('a', 1);
    queue.close();
    expect(queue.push('b', 1)).toBe(false);
    expect(await take(queue, 9)).toEqual([['a']]);
  });

  it('ends a consumer that waits when it is closed', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    const reading = take(queue, 1);
    queue.close();
    expect(await reading).toEqual([]);
  });

  it('gives back what was not delivered', async () => {
    const queue = new BatchQueue<string>(LIMITS);
    queue.push('a', 1);
    queue.push('b', 1);
    expect(queue.drain()).toEqual(['a', 'b']);
    expect(await take(queue, 1)).toEqual([]);
  });
});
