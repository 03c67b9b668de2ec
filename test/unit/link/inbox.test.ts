import { describe, expect, it } from '@jest/globals';
import { Inbox, WINDOW } from '../../../src/link/inbox.js';

describe('Inbox', () => {
  it('takes each numbered batch once, in order', () => {
    const inbox = new Inbox();
    expect([inbox.accept(1, 1, 10), inbox.accept(2, 1, 10), inbox.accept(1, 1, 10), inbox.accept(2, 1, 10)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(inbox.received).toBe(2);
    expect(() => inbox.accept(4, 1, 10)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', reason: 'SEQUENCE_GAP' }),
    );
  });

  it('takes batches without numbers as they come', () => {
    const inbox = new Inbox();
    expect([inbox.accept(0, 1, 10), inbox.accept(1, 1, 10), inbox.accept(0, 1, 10)]).toEqual([true, true, true]);
    expect(inbox.received).toBe(1);
  });

  it.each([0, 10_001])('refuses a batch of %d', (envelopes) => {
    expect(() => new Inbox().accept(1, envelopes, 10)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'BATCH_SIZE' }),
    );
  });

  it('refuses more than there is credit for', () => {
    const inbox = new Inbox();
    inbox.accept(1, WINDOW - 1, 10);
    expect(() => inbox.accept(2, 2, 10)).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'NO_CREDIT' }));
  });

  it('gives credit back when half of it is used, and says what has come', () => {
    const inbox = new Inbox();
    inbox.accept(1, WINDOW / 2 - 1, 10);
    expect(inbox.takeCredit()).toBe(undefined);
    inbox.accept(2, 1, 10);
    expect(inbox.takeCredit()).toEqual({ envelopes: WINDOW / 2, received: 2 });
    expect(inbox.takeCredit()).toBe(undefined);
    expect(inbox.accept(3, WINDOW, 10)).toBe(true);
  });

  it('gives it back as well when much has come: what is not acknowledged is kept at the other end', () => {
    const inbox = new Inbox();
    inbox.accept(1, 1, 1024 * 1024);
    expect(inbox.takeCredit()).toEqual({ envelopes: 1, received: 1 });
  });

  it('begins anew over another stream, but knows what has come', () => {
    const inbox = new Inbox();
    inbox.accept(1, WINDOW, 10);
    inbox.restart();
    expect(inbox.accept(1, WINDOW, 10)).toBe(false);
    expect(inbox.received).toBe(1);
  });
});
