import { describe, expect, it } from '@jest/globals';
import { EventQueue } from '../../../src/core/event-queue.js';
import { settle } from '../../support/fake-clock.js';

const overflow = new Error('the consumer is too slow');

function queueOf(capacity: number, ...items: number[]): EventQueue<number> {
  const queue = new EventQueue<number>(capacity, () => overflow);
  for (const item of items) queue.push(item);
  return queue;
}

/** What the queue gives until it ends, and what it throws. */
async function drain(queue: EventQueue<number>): Promise<{ items: number[]; error?: unknown }> {
  const items: number[] = [];
  try {
    for await (const item of queue) items.push(item);
    return { items };
  } catch (error) {
    return { items, error };
  }
}

describe('EventQueue', () => {
  it('delivers in order what was pushed before and while the consumer waits', async () => {
    const queue = queueOf(10, 1, 2);
    const drained = drain(queue);
    await settle();
    queue.push(3);
    queue.push(4);
    await settle();
    queue.push(5);
    queue.close();
    expect(await drained).toEqual({ items: [1, 2, 3, 4, 5] });
  });

  it('delivers what is queued before it closes', async () => {
    const queue = queueOf(10, 1, 2);
    queue.close();
    expect(queue.push(3)).toBe(false);
    expect(await drain(queue)).toEqual({ items: [1, 2] });
  });

  it('delivers what is queued before it fails', async () => {
    const failure = new Error('the store is away');
    const queue = queueOf(10, 1, 2);
    queue.fail(failure);
    expect(queue.push(3)).toBe(false);
    expect(await drain(queue)).toEqual({ items: [1, 2], error: failure });
  });

  it('fails a consumer that waits', async () => {
    const failure = new Error('the store is away');
    const queue = queueOf(10);
    const drained = drain(queue);
    await settle();
    queue.fail(failure);
    expect(await drained).toEqual({ items: [], error: failure });
  });

  it('ends once only: the first end counts', async () => {
    const queue = queueOf(10);
    queue.close();
    queue.fail(new Error('too late'));
    expect(await drain(queue)).toEqual({ items: [] });
  });

  it('takes as many items as its capacity, and fails at one more', async () => {
    const queue = queueOf(3, 1, 2);
    expect(queue.push(3)).toBe(true);
    expect(queue.push(4)).toBe(false);
    expect(await drain(queue)).toEqual({ items: [1, 2, 3], error: overflow });
  });

  it('has room again for what the consumer took', async () => {
    const queue = queueOf(2, 1, 2);
    const consumer = queue[Symbol.asyncIterator]();
    for (let item = 3; item < 10_000; item++) {
      await consumer.next();
      expect(queue.push(item)).toBe(true);
    }
    expect(queue.push(10_000)).toBe(false);
  });

  it('refuses items once the consumer has left', async () => {
    const queue = queueOf(10, 1, 2);
    for await (const _item of queue) break;
    expect(queue.push(3)).toBe(false);
    expect(await drain(queue)).toEqual({ items: [] });
  });

  it('lets a consumer leave while it waits', async () => {
    const queue = queueOf(10);
    const consumer = queue[Symbol.asyncIterator]();
    const waiting = consumer.next();
    await settle();
    await consumer.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it('stays ended after it has thrown', async () => {
    const queue = queueOf(10);
    queue.fail(overflow);
    const consumer = queue[Symbol.asyncIterator]();
    await expect(consumer.next()).rejects.toBe(overflow);
    expect(await consumer.next()).toEqual({ done: true, value: undefined });
  });
});
