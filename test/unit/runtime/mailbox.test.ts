import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Mailbox } from '../../../src/runtime/mailbox.js';
import { settle } from '../../support/fake-clock.js';

/** A mailbox whose work ends when the test says so. */
function mailboxOf(concurrency: number, capacity: number) {
  const begun: number[] = [];
  const finish = new Map<number, () => void>();
  const mailbox = new Mailbox<number>({ concurrency, capacity }, (item) => {
    begun.push(item);
    return new Promise((resolve) => finish.set(item, resolve));
  });
  const end = async (item: number) => {
    finish.get(item)?.();
    finish.delete(item);
    await settle();
  };
  return { mailbox, begun, end, finish };
}

describe('Mailbox', () => {
  it('works on as many as it may at once, lets as many wait as there is room for, and refuses the rest', async () => {
    const { mailbox, begun, end } = mailboxOf(2, 3);
    expect([1, 2, 3, 4, 5, 6, 7].map((item) => mailbox.offer(item))).toEqual([true, true, true, true, true, false, false]);
    expect([mailbox.inFlight, mailbox.queued]).toEqual([2, 3]);
    expect(begun).toEqual([1, 2]);
    await end(2);
    expect(begun).toEqual([1, 2, 3]);
    expect(mailbox.offer(8)).toBe(true);
    expect(mailbox.offer(9)).toBe(false);
  });

  it('lets nothing wait where it has no room for it', async () => {
    const { mailbox, end } = mailboxOf(1, 0);
    expect(mailbox.offer(1)).toBe(true);
    expect(mailbox.offer(2)).toBe(false);
    await end(1);
    expect(mailbox.offer(3)).toBe(true);
  });

  it('is first in, first out, and never busier than it may be', async () => {
    const plan = fc.record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      capacity: fc.integer({ min: 0, max: 6 }),
      steps: fc.array(fc.boolean(), { maxLength: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ concurrency, capacity, steps }) => {
        const { mailbox, begun, end, finish } = mailboxOf(concurrency, capacity);
        const taken: number[] = [];
        for (const [item, offers] of steps.entries()) {
          if (offers) {
            if (mailbox.offer(item)) taken.push(item);
          } else {
            const [first] = finish.keys();
            if (first !== undefined) await end(first);
          }
          expect(mailbox.inFlight).toBeLessThanOrEqual(concurrency);
          expect(mailbox.queued).toBeLessThanOrEqual(capacity);
          expect(mailbox.inFlight + mailbox.queued).toBe(taken.length - (begun.length - finish.size));
        }
        for (let [first] = finish.keys(); first !== undefined; [first] = finish.keys()) await end(first);
        expect(begun).toEqual(taken);
        await mailbox.whenIdle();
      }),
      { numRuns: 50 },
    );
  });

  it('is idle when nothing runs and nothing waits', async () => {
    const { mailbox, end } = mailboxOf(1, 5);
    await mailbox.whenIdle();
    mailbox.offer(1);
    mailbox.offer(2);
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
    const { mailbox, begun, end } = mailboxOf(1, 5);
    for (const item of [1, 2, 3]) mailbox.offer(item);
    expect(mailbox.clear()).toEqual([2, 3]);
    expect(mailbox.queued).toBe(0);
    await end(1);
    expect(begun).toEqual([1]);
  });
});
