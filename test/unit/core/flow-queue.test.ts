import { describe, expect, it } from '@jest/globals';
import { FlowQueue } from '../../../src/core/flow-queue.js';
import { settle } from '../../support/fake-clock.js';

/** Whether a promise is settled by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await settle();
  return done;
}

async function drain(queue: FlowQueue<number>): Promise<{ items: number[]; error?: unknown }> {
  const items: number[] = [];
  try {
    for await (const item of queue) items.push(item);
    return { items };
  } catch (error) {
    return { items, error };
  }
}

const overflow = () => new Error('too far ahead');
const flowQueue = <T>(limit: number, most = 100) => new FlowQueue<T>(limit, most, overflow);

describe('FlowQueue', () => {
  it('makes a producer wait while the consumer is `limit` items behind', async () => {
    const queue = flowQueue<number>(2);
    expect(await isDone(queue.send(1))).toBe(true);
    const second = queue.send(2);
    expect(await isDone(second)).toBe(false);
    const consumer = queue[Symbol.asyncIterator]();
    expect(await consumer.next()).toEqual({ done: false, value: 1 });
    expect(await isDone(second)).toBe(true);
    expect(await consumer.next()).toEqual({ done: false, value: 2 });
  });

  it('delivers in order, whatever the producer does', async () => {
    const queue = flowQueue<number>(4);
    const drained = drain(queue);
    for (let i = 0; i < 100; i++) await queue.send(i);
    queue.close();
    expect((await drained).items).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it('wakes a consumer that waits', async () => {
    const queue = flowQueue<number>(4);
    const next = queue[Symbol.asyncIterator]().next();
    await settle();
    await queue.send(7);
    expect(await next).toEqual({ done: false, value: 7 });
  });

  it('delivers what is queued before it closes or fails, and lets producers go', async () => {
    for (const error of [undefined, new Error('the agent failed')]) {
      const queue = flowQueue<number>(1);
      const blocked = [queue.send(1), queue.send(2)];
      if (error === undefined) queue.close();
      else queue.fail(error);
      await Promise.all(blocked);
      await queue.send(3);
      expect(await drain(queue)).toEqual(error === undefined ? { items: [1, 2] } : { items: [1, 2], error });
    }
  });

  it('fails and closes only once: the first counts', async () => {
    const queue = flowQueue<number>(4);
    queue.close();
    queue.fail(new Error('too late'));
    expect(await drain(queue)).toEqual({ items: [] });
  });

  it('lets producers go when the consumer leaves', async () => {
    const queue = flowQueue<number>(1);
    const blocked = queue.send(1);
    const second = queue.send(2);
    for await (const _ of queue) break;
    await Promise.all([blocked, second, queue.send(3)]);
    expect(await isDone(queue.send(4))).toBe(true);
  });

  it('delivers items that are undefined', async () => {
    const queue = flowQueue<number | undefined>(4);
    await queue.send(undefined);
    await queue.send(1);
    queue.close();
    expect((await drain(queue as FlowQueue<number>)).items).toEqual([undefined, 1]);
  });

  it('ends with an error when a producer that does not wait gets too far ahead', async () => {
    const queue = flowQueue<number>(2, 4);
    for (let item = 0; item < 10; item++) void queue.send(item);
    const taken: number[] = [];
    const reading = async () => {
      for await (const item of queue) taken.push(item);
    };
    await expect(reading()).rejects.toThrow('too far ahead');
    expect(taken).toEqual([0, 1, 2, 3]);
  });
});
