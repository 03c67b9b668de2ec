import { describe, expect, it } from '@jest/globals';
import { ReplayQueue } from '../../../src/core/replay-queue.js';
import { settle } from '../../support/fake-clock.js';

const overflow = () => new Error('too far ahead');

function queueOf(keepBytes: number, limit = 4, most = 8): ReplayQueue<string> {
  return new ReplayQueue({ limit, limitBytes: 10, most, mostBytes: 100, keepBytes, onOverflow: overflow }, 1n);
}

async function take(reader: AsyncIterator<string>, count: number): Promise<string[]> {
  const taken: string[] = [];
  for (let n = 0; n < count; n++) {
    const step = await reader.next();
    if (step.done === true) break;
    taken.push(step.value);
  }
  return taken;
}

describe('ReplayQueue', () => {
  it('gives what was sent, in order, to the end', async () => {
    const queue = queueOf(0);
    void queue.send('a', 1);
    void queue.send('b', 1);
    queue.close();
    const got: string[] = [];
    for await (const item of queue.read(0n)) got.push(item);
    expect(got).toEqual(['a', 'b']);
    expect(queue.isClosed).toBe(true);
    await queue.send('late', 1);
    expect(queue.nextCursor).toBe(3n);
  });

  it('lets a reader come back to what it has not seen', async () => {
    const queue = queueOf(100);
    for (const item of ['a', 'b', 'c']) void queue.send(item, 1);
    expect(await take(queue.read(0n), 3)).toEqual(['a', 'b', 'c']);
    expect(await take(queue.read(1n), 2)).toEqual(['b', 'c']);
    const last = queue.read(3n);
    const next = last.next();
    void queue.send('d', 1);
    expect(await next).toEqual({ done: false, value: 'd' });
  });

  it('keeps no more than its bytes of what was read, and says what is lost', async () => {
    const queue = queueOf(2);
    for (const item of ['a', 'b', 'c', 'd']) void queue.send(item, 1);
    await take(queue.read(0n), 4);
    expect(() => queue.read(1n)).toThrow('there are 3 to 4');
    expect(() => queue.read(5n)).toThrow('there are 3 to 4');
    expect(await take(queue.read(2n), 2)).toEqual(['c', 'd']);
    const none = queueOf(0);
    void none.send('a', 1);
    await take(none.read(0n), 1);
    expect(() => none.read(0n)).toThrow(expect.objectContaining({ reason: 'CURSOR_LOST' }));
  });

  it('keeps the rule for bytes after a reader came back', async () => {
    const queue = queueOf(3, 100, 200);
    for (const item of 'abcdefgh') void queue.send(item, 1);
    await take(queue.read(0n), 6);
    await take(queue.read(4n), 3);
    expect(() => queue.read(3n)).toThrow('there are 5 to 8');
    expect(await take(queue.read(4n), 4)).toEqual(['e', 'f', 'g', 'h']);
  });

  it('makes a producer wait while its reader is behind, also when nobody reads', async () => {
    const queue = queueOf(100, 2, 8);
    let sent = 0;
    const produce = async () => {
      for (const item of ['a', 'b', 'c', 'd']) {
        await queue.send(item, 1);
        sent += 1;
      }
    };
    const producing = produce();
    await settle();
    expect(sent).toBe(1);
    const reader = queue.read(0n);
    await take(reader, 1);
    await settle();
    expect(sent).toBe(2);
    await take(reader, 3);
    await producing;
    expect(sent).toBe(4);
  });

  it('does not take a reader that goes over something again for one that is behind', async () => {
    const queue = queueOf(10_000, 2, 4);
    const produce = async () => {
      for (let n = 1; n <= 20; n++) await queue.send(`item ${n}`, 1);
    };
    const producing = produce();
    await take(queue.read(0n), 15);
    const again = queue.read(3n);
    expect(await take(again, 17)).toHaveLength(17);
    await producing;
    expect(queue.isClosed).toBe(false);
  });

  it('gives everything to one who has seen nothing, whatever the first number is', async () => {
    const queue = new ReplayQueue<string>(
      { limit: 4, limitBytes: 10, most: 8, mostBytes: 100, keepBytes: 2, onOverflow: overflow },
      7n,
    );
    void queue.send('a', 1);
    void queue.send('b', 1);
    expect(await take(queue.read(0n), 2)).toEqual(['a', 'b']);
    expect(await take(queue.read(0n), 2)).toEqual(['a', 'b']);
    void queue.send('c', 1);
    await take(queue.read(8n), 1);
    expect(() => queue.read(0n)).toThrow('there are 8 to 9');
  });

  it('ends a reader that waits when its other end has gone, and tells how much it holds', async () => {
    const queue = queueOf(100);
    void queue.send('a', 5);
    const reader = queue.read(0n);
    await reader.next();
    const waiting = expect(reader.next()).rejects.toMatchObject({ reason: 'TAKEN_OVER' });
    queue.detach(queue.currentReader);
    queue.detach(0);
    await waiting;
    expect(queue.bytes).toBe(5);
    expect(await take(queue.read(0n), 1)).toEqual(['a']);
  });

  it('fails when a producer that does not wait gets too far ahead', async () => {
    const queue = queueOf(0, 2, 3);
    for (const item of ['a', 'b', 'c', 'd']) void queue.send(item, 1);
    const reader = queue.read(0n);
    expect(await take(reader, 3)).toEqual(['a', 'b', 'c']);
    await expect(reader.next()).rejects.toThrow('too far ahead');
  });

  it('counts bytes as well as items', async () => {
    const queue = queueOf(100);
    let isFree = false;
    const first = queue.send('a', 10).then(() => {
      isFree = true;
    });
    await settle();
    expect(isFree).toBe(false);
    const reader = queue.read(0n);
    await take(reader, 1);
    await first;
    expect(isFree).toBe(true);
    for (const item of ['b', 'c', 'd']) void queue.send(item, 60);
    expect(await take(reader, 2)).toEqual(['b', 'c']);
    await expect(reader.next()).rejects.toThrow('too far ahead');
  });

  it('ends the reader before when another comes', async () => {
    const queue = queueOf(100);
    void queue.send('a', 1);
    const first = queue.read(0n);
    await first.next();
    const waiting = expect(first.next()).rejects.toMatchObject({ code: 'ABORTED', reason: 'TAKEN_OVER' });
    await settle();
    const second = queue.read(0n);
    await waiting;
    expect(await take(second, 1)).toEqual(['a']);
  });

  it('throws after what is queued when it failed', async () => {
    const queue = queueOf(0);
    void queue.send('a', 1);
    queue.fail(new Error('broken'));
    const reader = queue.read(0n);
    expect(await take(reader, 1)).toEqual(['a']);
    await expect(reader.next()).rejects.toThrow('broken');
  });
});
