import { describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { CarefulSends } from '../../../src/messaging/careful-sends.js';
import type { OutgoingMessage, Waiter } from '../../../src/messaging/outgoing.js';
import { PendingMessages } from '../../../src/messaging/pending-messages.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';

const message = (id: string, atLeastOnce = false): OutgoingMessage => ({
  from: 'a',
  to: 'b',
  topic: '',
  content: { kind: 'text', text: id },
  deadlineMs: 60_000,
  id,
  headers: new Map(),
  waitForRoom: !atLeastOnce,
  atLeastOnce,
  demand: 0,
});

const refusal = new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', 'no such agent');
const pending = { cancel: () => undefined, demand: () => undefined };

describe('careful sends', () => {
  it('that are all refused at once end one after the other, in order', async () => {
    const clock = new FakeClock();
    const told: string[] = [];
    let first: Waiter | undefined;
    const sends = new CarefulSends({
      clock,
      random: seededRandom(1),
      deadLetters: { add: () => undefined },
      mayComeBack: () => false,
      sendOnce: (_message, waiter) => {
        if (first === undefined) first = waiter;
        else waiter.failed(refusal);
        return pending;
      },
    });
    for (let i = 0; i <= 1_000; i++) {
      const failed = () => void told.push(String(i));
      sends.send(message(String(i)), { answered: () => undefined, failed });
    }
    first?.failed(refusal);
    for (let turns = 0; turns < 3_000 && told.length <= 1_000; turns++) await Promise.resolve();
    expect(told).toEqual(Array.from({ length: 1_001 }, (_, i) => String(i)));
  });

  it('that are sent until they are acknowledged do not wait for an acknowledgement that was lost', async () => {
    const clock = new FakeClock();
    const deadlines: number[] = [];
    const waiters: Waiter[] = [];
    const sends = new CarefulSends({
      clock,
      random: seededRandom(1),
      deadLetters: { add: () => undefined },
      mayComeBack: () => false,
      sendOnce: ({ deadlineMs }, waiter) => {
        deadlines.push(deadlineMs - clock.now());
        waiters.push(waiter);
        return pending;
      },
    });
    sends.send(
      { ...message('m', true), deadlineMs: clock.now() + 60_000 },
      { answered: () => undefined, failed: () => undefined },
    );
    waiters[0]?.failed(new TroupeError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'late'));
    await clock.advance(1_000);
    expect(deadlines).toEqual([5_000, 5_000]);
  });
});

describe('pending messages', () => {
  it('give ids that answers to an earlier life do not fit, also after a burst', () => {
    const clock = new FakeClock();
    const one = { deadlineMs: Number.POSITIVE_INFINITY, expire: () => undefined };
    const before = new PendingMessages(clock, 1);
    const after = new PendingMessages(clock, 2);
    const id = before.add(one);
    expect(after.add(one)).not.toBe(id);
    expect(after.get(id)).toBe(undefined);
    const burst = Array.from({ length: 5_000 }, () => before.add(one));
    for (const each of [id, ...burst]) expect(before.take(each)).toBe(one);
    const again = before.add(one);
    expect([id, ...burst]).not.toContain(again);
    expect(before.take(again)).toBe(one);
  });
});
