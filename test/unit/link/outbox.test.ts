import { describe, expect, it } from '@jest/globals';
import { HELD_OVERHEAD_BYTES } from '../../../src/core/bytes.js';
import { RoutedConnectResponse } from '../../../src/gen/troupe/internal/v1/session.js';
import { MAX_CREDIT, MAX_HELD_BYTES, MAX_KEPT_BYTES, Outbox } from '../../../src/link/outbox.js';
import { envelopeBytes } from '../../../src/link/session-frames.js';

const envelope = (id: string, bytes = 0) => envelopeBytes({ id, payload: Buffer.alloc(bytes) });

/** The ids of the envelopes of the next frame, and its number; undefined where nothing may go. */
function next(outbox: Outbox): [number, ...string[]] | undefined {
  const bytes = outbox.next();
  if (bytes === undefined) return undefined;
  const { frame } = RoutedConnectResponse.decode(bytes);
  if (frame?.$case !== 'batch') throw new Error('no batch');
  return [Number(frame.value.sequence), ...frame.value.envelopes.map(({ id }) => id)];
}

function outboxOf(...ids: string[]): Outbox {
  const outbox = new Outbox(true, 1_000);
  for (const id of ids) outbox.push(envelope(id));
  return outbox;
}

describe('Outbox', () => {
  it('sends what has come together in one batch, and numbers batches', () => {
    const outbox = outboxOf('a', 'b');
    expect(outbox.isEmpty).toBe(false);
    expect(next(outbox)).toEqual([1, 'a', 'b']);
    expect(next(outbox)).toBe(undefined);
    outbox.push(envelope('c'));
    expect(next(outbox)).toEqual([2, 'c']);
    expect(outbox.isEmpty).toBe(true);
  });

  it('makes batches of 24 KiB, of large ones of 128 KiB; what is larger goes alone', () => {
    const outbox = new Outbox(true, 1_000);
    const put = (id: string, bytes: number, count: number) => {
      for (let n = 0; n < count; n++) outbox.push(envelope(id, bytes));
    };
    put('s', 3_000, 9);
    put('l', 50_000, 3);
    put('x', 200_000, 1);
    put('s', 10, 1);
    const batches = [next(outbox), next(outbox), next(outbox), next(outbox), next(outbox)];
    expect(batches.map((batch) => batch?.slice(1).join(''))).toEqual(['ssssssss', 'sll', 'l', 'x', 's']);
  });

  it('sends no more than there is credit for', () => {
    const outbox = new Outbox(true, 1);
    for (const id of ['a', 'b', 'c']) outbox.push(envelope(id));
    expect(next(outbox)).toEqual([1, 'a']);
    expect(next(outbox)).toBe(undefined);
    expect(outbox.addCredit(5)).toBe(true);
    expect(next(outbox)).toEqual([2, 'b', 'c']);
    expect(outbox.credit).toBe(3);
    expect(outbox.addCredit(MAX_CREDIT)).toBe(false);
  });

  it('takes back what has not left', () => {
    const outbox = outboxOf('a');
    const taken = outbox.push(envelope('b'));
    const later = outbox.pushLater(() => envelope('c'));
    expect(taken?.withdraw()).toBe(true);
    expect(outbox.waitingEnvelopes).toBe(2);
    expect(next(outbox)).toEqual([1, 'a', 'c']);
    expect(later.withdraw()).toBe(false);
    expect(outbox.pushLater(() => envelope('d')).withdraw()).toBe(true);
    expect(outbox.isEmpty).toBe(true);
    expect(next(outbox)).toBe(undefined);
  });

  it('does not keep what was taken back while there is no credit', () => {
    const outbox = new Outbox(true, 0);
    outbox.push(envelope('first'));
    let size = 0;
    const queue = (outbox as unknown as { readonly waiting: { readonly size: number } }).waiting;
    for (let n = 0; n < 10_000; n++) {
      outbox.pushLater(() => envelope('x')).withdraw();
      size = Math.max(size, queue.size);
    }
    outbox.push(envelope('last'));
    expect(size).toBeLessThan(100);
    outbox.addCredit(10);
    expect(next(outbox)).toEqual([1, 'first', 'last']);
  });

  it('makes what is made later when its turn comes, and leaves out what is nothing then', () => {
    const outbox = new Outbox(true, 1_000);
    let made = 0;
    outbox.pushLater(() => {
      made += 1;
      return undefined;
    });
    outbox.pushLater(() => {
      made += 1;
      return envelope('b');
    });
    expect({ made, held: outbox.heldBytes }).toEqual({ made: 0, held: 0 });
    expect(next(outbox)).toEqual([1, 'b']);
    expect(made).toBe(2);
  });

  it('sends again over a new stream what has not been received, with its numbers, then goes on', () => {
    const outbox = outboxOf('a');
    next(outbox);
    outbox.push(envelope('b'));
    next(outbox);
    outbox.push(envelope('c'));
    expect(outbox.restart(1, 10)).toBe(true);
    expect([next(outbox), next(outbox), next(outbox)]).toEqual([[2, 'b'], [3, 'c'], undefined]);
    expect(outbox.credit).toBe(8);
    expect(outbox.restart(3, 10)).toBe(true);
    expect(next(outbox)).toBe(undefined);
  });

  it('sends again also beyond the new credit: it was paid for', () => {
    const outbox = outboxOf('a', 'b', 'c');
    next(outbox);
    outbox.push(envelope('d'));
    outbox.restart(0, 1);
    expect(next(outbox)).toEqual([1, 'a', 'b', 'c']);
    expect(next(outbox)).toBe(undefined);
    outbox.addCredit(1);
    expect(next(outbox)).toEqual([2, 'd']);
  });

  it('knows what cannot have been received', () => {
    const outbox = outboxOf('a');
    expect(outbox.acknowledge(1)).toBe(false);
    next(outbox);
    expect(outbox.acknowledge(2)).toBe(false);
    expect(outbox.acknowledge(1)).toBe(true);
    expect(outbox.restart(2, 1)).toBe(false);
    expect(outbox.restart(0, 1)).toBe(false);
    expect(outbox.restart(1, 1)).toBe(true);
  });

  it('keeps 8 MiB at most of what was sent: then it waits until that is acknowledged', () => {
    const outbox = new Outbox(true, 1_000);
    const mib = 1024 * 1024;
    for (let n = 1; n <= 12; n++) outbox.push(envelope(String(n), mib));
    let sent = 0;
    while (next(outbox) !== undefined) sent += 1;
    expect(sent).toBe(8);
    outbox.acknowledge(1);
    expect(next(outbox)).toEqual([9, '9']);
    expect(next(outbox)).toBe(undefined);
    expect(outbox.heldBytes).toBeGreaterThan(MAX_KEPT_BYTES);
  });

  it.each([0, 200, 100_000])('holds 16 MiB at most, with what holding takes: of envelopes of %s bytes', (bytes) => {
    const outbox = new Outbox(true, 1_000);
    let held = 0;
    while (outbox.push(envelope('x', bytes)) !== undefined) held += 1;
    expect(held).toBe(Math.floor(MAX_HELD_BYTES / (envelope('x', bytes).length + HELD_OVERHEAD_BYTES)));
    expect(outbox.heldBytes).toBeLessThanOrEqual(MAX_HELD_BYTES);
  });

  it('counts nothing any more of what has gone', () => {
    const outbox = outboxOf('a', 'b');
    outbox.pushLater(() => envelope('c'));
    outbox.push(envelope('d'))?.withdraw();
    next(outbox);
    expect(outbox.heldBytes).toBeGreaterThan(0);
    outbox.acknowledge(1);
    expect(outbox.heldBytes).toBe(0);
  });

  it('keeps nothing where nobody comes back', () => {
    const outbox = new Outbox(false, 1_000);
    outbox.push(envelope('a', 1_000));
    next(outbox);
    expect(outbox.heldBytes).toBe(0);
  });
});
