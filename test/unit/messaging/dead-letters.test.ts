import { describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { FrameContent } from '../../../src/link/frame-content.js';
import { DeadLetters, MAX_LETTERS, MAX_LETTERS_BYTES } from '../../../src/messaging/dead-letters.js';
import type { OutgoingMessage } from '../../../src/messaging/outgoing.js';
import { FakeClock } from '../../support/fake-clock.js';

const FULL = new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'the mailbox of "b" is full');

const encoded = (bytes: Buffer) => new FrameContent(bytes, 0, bytes.length);

const message = (changes: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
  from: 'a',
  to: 'b',
  topic: '',
  id: '',
  content: encoded(Buffer.from('content')),
  deadlineMs: 0,
  headers: new Map(),
  waitForRoom: false,
  atLeastOnce: false,
  demand: 0,
  ...changes,
});

const numbers = (letters: DeadLetters) => [...letters.youngestFirst()].map(({ number }) => number);

describe('dead letters', () => {
  it('tell who wrote what to whom, when it was given up and why', async () => {
    const clock = new FakeClock();
    const letters = new DeadLetters(clock);
    letters.add(message(), FULL);
    await clock.advance(5_000);
    letters.add(message({ to: '', topic: 'news.local', id: 'm-1' }), FULL, 'c');
    expect([...letters.youngestFirst()]).toMatchObject([
      { number: 2, timeMs: clock.now(), from: 'a', to: 'c', topic: 'news.local', messageId: 'm-1' },
      {
        number: 1,
        timeMs: clock.now() - 5_000,
        reason: 'MAILBOX_FULL',
        description: 'the mailbox of "b" is full',
        from: 'a',
        to: 'b',
        topic: '',
        messageId: '',
        payload: Buffer.from('content'),
      },
    ]);
  });

  it('keep the last 1,000, and know how many there have been', () => {
    const letters = new DeadLetters(new FakeClock());
    for (let n = 0; n < MAX_LETTERS + 5; n++) letters.add(message(), FULL);
    expect(letters.total).toBe(MAX_LETTERS + 5);
    expect(letters.size).toBe(MAX_LETTERS);
    expect(numbers(letters)[0]).toBe(MAX_LETTERS + 5);
    expect(numbers(letters).at(-1)).toBe(6);
  });

  it('keep at most 8 MiB together', () => {
    const letters = new DeadLetters(new FakeClock());
    const content = Buffer.alloc(64 * 1024);
    for (let n = 0; n < 300; n++) letters.add(message({ content: encoded(content) }), FULL);
    const bytes = [...letters.youngestFirst()].reduce((sum, { payload }) => sum + payload.length, 0);
    expect(bytes).toBeLessThanOrEqual(MAX_LETTERS_BYTES);
    expect(bytes).toBeGreaterThan(MAX_LETTERS_BYTES - 3 * content.length);
    expect(numbers(letters)[0]).toBe(300);
  });

  it('keep nothing of a payload above 64 KiB, and say so', () => {
    const letters = new DeadLetters(new FakeClock());
    letters.add(message({ content: encoded(Buffer.alloc(64 * 1024 + 1)) }), FULL);
    const [letter] = letters.youngestFirst();
    expect(letter?.payload).toHaveLength(0);
    expect(letter?.description).toBe('the mailbox of "b" is full (its payload of 65537 bytes is not kept)');
  });

  it('keep a copy: what came is not theirs', () => {
    const letters = new DeadLetters(new FakeClock());
    const content = Buffer.from('content');
    letters.add(message({ content: encoded(content) }), FULL);
    content.fill(0);
    const [letter] = letters.youngestFirst();
    expect(letter?.payload.toString()).toBe('content');
    expect(letter?.payload.buffer.byteLength).toBe(7);
  });

  it('keep what was not encoded yet, and nothing of what cannot be', () => {
    const letters = new DeadLetters(new FakeClock());
    letters.add(message({ content: { kind: 'text', text: 'x' } }), FULL);
    letters.add(message({ content: { kind: 'json', json: Number.NaN } }), FULL);
    const [wrong, right] = letters.youngestFirst();
    expect(right?.payload).toEqual(Buffer.from([0x12, 1, 0x78]));
    expect(wrong).toMatchObject({ payload: Buffer.alloc(0), description: 'the mailbox of "b" is full (its payload is none)' });
  });

  it('cut what an error has to say', () => {
    const letters = new DeadLetters(new FakeClock());
    letters.add(message(), new TroupeError('INTERNAL', 'X'.repeat(100), 'y'.repeat(5_000)));
    const [letter] = letters.youngestFirst();
    expect([letter?.reason.length, letter?.description.length]).toEqual([63, 1_024]);
  });
});
