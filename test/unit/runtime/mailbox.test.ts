import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PRIORITIES, PRIORITY_RANKS, type Priority } from '../../../src/core/priority.js';
import { Mailbox, type MailItem } from '../../../src/runtime/mailbox.js';
import { settle } from '../../support/fake-clock.js';

class Item implements MailItem<Item> {
  place: MailItem<Item>['place'];

  constructor(
    readonly id: number,
    readonly priority: Priority = 'normal',
  ) {}
}

/** A mailbox whose work ends when the test says so. */
function mailboxOf(concurrency: number, capacity: number) {
  const begun: number[] = [];
  const finish = new Map<number, () => void>();
  const limit = { limit: concurrency };
  const mailbox = new Mailbox<Item>({ concurrency: limit, capacity }, ({ id }) => {
    begun.push(id);
    return new Promise((resolve) => finish.set(id, resolve));
  });
  const end = async (id: number) => {
    finish.get(id)?.();
    finish.delete(id);
    await settle();
  };
  /** As an admission does; what was given up, if anything was. */
  const offer = (item: Item): boolean | number => {
    if (!mailbox.isFree && !mailbox.hasRoom(item.priority)) return false;
    return mailbox.take(item)?.id ?? true;
  };
  const offerAll = (...ids: number[]) => ids.map((id) => offer(new Item(id)));
  return { mailbox, limit, begun, end, finish, offer, offerAll };
}

describe('Mailbox', () => {
  it('works on as many as it may at once, lets as many wait as there is room for, and refuses the rest', async () => {
    const { mailbox, begun, end, offerAll } = mailboxOf(2, 3);
    expect(offerAll(1, 2, 3, 4, 5, 6, 7)).toEqual([true, true, true, true, true, false, false]);
    expect([mailbox.inFlight, mailbox.queued]).toEqual([2, 3]);
    expect(begun).toEqual([1, 2]);
    await end(2);
    expect(begun).toEqual([1, 2, 3]);
    expect(offerAll(8, 9)).toEqual([true, false]);
  });

  it('lets nothing wait where it has no room for it', async () => {
    const { end, offerAll } = mailboxOf(1, 0);
    expect(offerAll(1, 2)).toEqual([true, false]);
    await end(1);
    expect(offerAll(3)).toEqual([true]);
  });

  it('takes the most urgent first', async () => {
    const { mailbox, begun, end, offer } = mailboxOf(1, 9);
    offer(new Item(0));
    for (const [index, priority] of (['low', 'normal', 'high', 'normal', 'critical'] as const).entries())
      offer(new Item(index + 1, priority));
    expect(mailbox.ahead('normal')).toBe(4);
    for (const id of [0, 5, 3, 2, 4, 1]) await end(id);
    expect(begun).toEqual([0, 5, 3, 2, 4, 1]);
  });

  it('makes room for the more urgent by giving up the youngest of the least urgent', () => {
    const { mailbox, offer } = mailboxOf(1, 3);
    offer(new Item(0));
    for (const [index, priority] of (['low', 'normal', 'low'] as const).entries()) offer(new Item(index + 1, priority));
    expect([offer(new Item(4, 'low')), offer(new Item(5, 'normal')), offer(new Item(6, 'high'))]).toEqual([false, 3, 1]);
    expect([offer(new Item(7, 'normal')), offer(new Item(8, 'critical')), offer(new Item(9, 'critical'))]).toEqual([false, 5, 2]);
    expect([offer(new Item(10, 'critical')), mailbox.queued]).toEqual([6, 3]);
    expect(offer(new Item(11, 'critical'))).toBe(false);
  });

  it('frees the place of what is withdrawn at once, and cannot withdraw what has begun', async () => {
    const { mailbox, begun, end, offer, offerAll } = mailboxOf(1, 2);
    const [first, second] = [new Item(1), new Item(2)];
    offer(first);
    offer(second);
    offerAll(3);
    expect(offerAll(4)).toEqual([false]);
    expect([mailbox.withdraw(second), mailbox.withdraw(second), mailbox.withdraw(first)]).toEqual([true, false, false]);
    expect(mailbox.queued).toBe(1);
    expect(offerAll(5)).toEqual([true]);
    await end(1);
    await end(3);
    expect(begun).toEqual([1, 3, 5]);
  });

  it('follows a limit that changes: begins more when it rises, and nothing until it is below when it falls', async () => {
    const { mailbox, limit, begun, end, offerAll } = mailboxOf(2, 9);
    offerAll(1, 2, 3, 4, 5, 6);
    limit.limit = 1;
    await end(1);
    expect([begun, mailbox.inFlight]).toEqual([[1, 2], 1]);
    await end(2);
    expect([begun, mailbox.inFlight]).toEqual([[1, 2, 3], 1]);
    limit.limit = 3;
    await end(3);
    expect([begun, mailbox.inFlight]).toEqual([[1, 2, 3, 4, 5, 6], 3]);
  });

  it('lets nobody in before those who wait when its limit has just risen', async () => {
    const { limit, begun, end, offerAll } = mailboxOf(1, 9);
    offerAll(1, 2);
    limit.limit = 2;
    offerAll(3);
    expect(begun).toEqual([1]);
    await end(1);
    expect(begun).toEqual([1, 2, 3]);
  });

  it('is first in, first out within a priority, and never busier or fuller than it may be', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('offer' as const), priority: fc.constantFrom(...PRIORITIES) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), which: fc.nat() }) },
    );
    const plan = fc.record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      capacity: fc.integer({ min: 0, max: 6 }),
      steps: fc.array(step, { maxLength: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ concurrency, capacity, steps }) => {
        const { mailbox, begun, end, finish, offer } = mailboxOf(concurrency, capacity);
        const waiting = new Map<number, Item>();
        const begin = () => {
          for (const id of begun) waiting.delete(id);
        };
        for (const [id, does] of steps.entries()) {
          const before = begun.length;
          const most = Math.max(...[...waiting.values()].map(({ priority }) => PRIORITY_RANKS[priority]));
          const next = [...waiting.values()].find(({ priority }) => PRIORITY_RANKS[priority] === most);
          if (does.kind === 'offer') {
            const item = new Item(id, does.priority);
            const given = offer(item);
            if (given !== false) waiting.set(id, item);
            else
              expect(
                [...waiting.values()].every(({ priority }) => PRIORITY_RANKS[priority] >= PRIORITY_RANKS[does.priority]),
              ).toBe(true);
            if (typeof given === 'number') waiting.delete(given);
          } else if (does.kind === 'end') {
            const [first] = finish.keys();
            if (first !== undefined) await end(first);
            if (begun.length > before) expect(begun[before]).toBe(next?.id);
          } else {
            const item = [...waiting.values()][does.which % Math.max(1, waiting.size)];
            if (item !== undefined) expect(mailbox.withdraw(item)).toBe(true);
            if (item !== undefined) waiting.delete(item.id);
          }
          begin();
          expect(mailbox.inFlight).toBeLessThanOrEqual(concurrency);
          expect(mailbox.inFlight).toBe(finish.size);
          expect(mailbox.queued).toBe(waiting.size);
          expect(mailbox.queued).toBeLessThanOrEqual(capacity);
          expect(waiting.size === 0 || mailbox.inFlight === concurrency).toBe(true);
        }
        for (let [first] = finish.keys(); first !== undefined; [first] = finish.keys()) await end(first);
        begin();
        expect(waiting.size).toBe(0);
        await mailbox.whenIdle();
      }),
      { numRuns: 100 },
    );
  });

  it('is idle when nothing runs and nothing waits', async () => {
    const { mailbox, end, offerAll } = mailboxOf(1, 5);
    await mailbox.whenIdle();
    offerAll(1, 2);
    let idle = false;
    void mailbox.whenIdle().then(() => {
      idle = true;
    });
    await end(1);
    expect(idle).toBe(false);
    await end(2);
    expect(idle).toBe(true);
  });

  it('gives back what has not begun', async () => {
    const { mailbox, begun, end, offerAll } = mailboxOf(1, 5);
    offerAll(1, 2, 3);
    expect(mailbox.clear().map(({ id }) => id)).toEqual([2, 3]);
    expect(mailbox.queued).toBe(0);
    await end(1);
    expect(begun).toEqual([1]);
  });
});
