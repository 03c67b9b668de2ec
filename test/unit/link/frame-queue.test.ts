import { describe, expect, it } from '@jest/globals';
import { EnvelopeKind } from '../../../src/gen/troupe/v1/envelope.js';
import type { EnvelopeReader } from '../../../src/link/envelope-reader.js';
import { FramePool } from '../../../src/link/frame-pool.js';
import { FrameQueue } from '../../../src/link/frame-queue.js';
import { type FrameHandlers, IncomingFrames } from '../../../src/link/incoming-frames.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

const none = () => undefined;

function readerOf(envelope: (reader: EnvelopeReader) => void): IncomingFrames {
  const handlers: FrameHandlers = {
    ...{ hello: none, welcome: none, ping: none, pong: none, drain: none, credit: none, task: none, outcome: none },
    envelope,
  };
  return new IncomingFrames(handlers);
}

function out(from: string, to: string, text: string) {
  const rest = { correlationId: 0, topic: '', deadlineMs: 0, sequence: 0, rare: undefined };
  return { kind: EnvelopeKind.ENVELOPE_KIND_SEND, from, to, content: { kind: 'text', text } as const, ...rest };
}

/** The texts of what comes out, by sender. */
function readAll(queue: FrameQueue, incoming: IncomingFrames, texts: string[] = []): string[] {
  for (let frame = queue.next(); frame !== undefined; frame = queue.next()) {
    incoming.read(Buffer.from(frame.bytes));
    queue.written();
  }
  return texts;
}

describe(`a queue of frames (seed ${testSeed})`, () => {
  it('keeps the order between each two that talk, whatever the sizes, while frames are taken', () => {
    const random = seededRandom(testSeed);
    for (let round = 0; round < 20; round++) {
      const queue = new FrameQueue(new FramePool());
      const got = new Map<string, number[]>();
      const incoming = readerOf(({ from, to, content }) => {
        const pair = `${from}>${to}`;
        const payload = content.decode();
        got.set(pair, [...(got.get(pair) ?? []), Number(payload.kind === 'text' ? payload.text.split(' ')[0] : 'x')]);
      });
      const sent = new Map<string, number>();
      for (let n = 0; n < 200; n++) {
        const from = `s${Math.floor(random.next() * 3)}`;
        const to = `r${Math.floor(random.next() * 2)}`;
        const chance = random.next();
        const size = chance < 0.1 ? 300_000 : chance < 0.2 ? 70_000 : chance < 0.4 ? 5_000 : 10;
        const count = sent.get(`${from}>${to}`) ?? 0;
        sent.set(`${from}>${to}`, count + 1);
        queue.envelope(out(from, to, `${count} ${'x'.repeat(size)}`));
        for (let taken = Math.floor(random.next() * 3); taken > 0; taken--) {
          const frame = queue.next();
          if (frame === undefined) break;
          incoming.read(Buffer.from(frame.bytes));
          queue.written();
        }
      }
      readAll(queue, incoming);
      for (const [pair, count] of sent) expect(got.get(pair)).toEqual(Array.from({ length: count }, (_, n) => n));
      expect([queue.isEmpty, queue.bytes]).toEqual([true, 0]);
    }
  });

  it('says with each frame how many envelopes are complete with it', () => {
    const queue = new FrameQueue(new FramePool());
    const envelopes = () => {
      const counts: number[] = [];
      for (let frame = queue.next(); frame !== undefined; frame = queue.next()) counts.push(frame.envelopes);
      return counts;
    };
    for (const to of ['a', 'b', 'c']) queue.envelope(out('s', to, 'small'));
    queue.task(1, Buffer.alloc(10));
    expect(envelopes()).toEqual([4]);
    queue.outcome(1, Buffer.alloc(150_000));
    expect(envelopes()).toEqual([0, 0, 1]);
    queue.task(2, Buffer.alloc(10));
    queue.clear();
    queue.task(3, Buffer.alloc(10));
    expect(envelopes()).toEqual([1]);
    queue.outcome(4, Buffer.alloc(150_000));
    queue.next();
    // The link broke: it goes again over the next one.
    queue.restart();
    expect(envelopes()).toEqual([0, 0, 1]);
  });

  it('sends others between the parts of what is large', () => {
    const queue = new FrameQueue(new FramePool());
    const texts: string[] = [];
    const incoming = readerOf(({ from }) => texts.push(from));
    queue.envelope(out('large', 'r', 'x'.repeat(3_000_000)));
    queue.envelope(out('small', 'r', 'x'));
    readAll(queue, incoming);
    expect(texts).toEqual(['small', 'large']);
  });

  it('tells what has not left yet, or not wholly, and begins that anew after a restart', () => {
    const queue = new FrameQueue(new FramePool());
    const small = queue.envelope(out('a', 'b', 'x'));
    const large = queue.envelope(out('c', 'b', 'x'.repeat(200_000)));
    expect([queue.holds(small), queue.holds(large)]).toEqual([true, true]);
    const first = queue.next();
    expect([queue.holds(small), queue.holds(large), first?.number]).toEqual([false, true, small]);
    queue.next();
    expect(queue.holds(large)).toBe(true);
    queue.restart();
    const texts: string[] = [];
    readAll(
      queue,
      readerOf(({ from }) => texts.push(from)),
    );
    expect([texts, queue.holds(large)]).toEqual([['c'], false]);
  });

  it('tells that of each of very many that wait behind a large one, and gives them in time', () => {
    const queue = new FrameQueue(new FramePool());
    queue.envelope(out('a', 'b', 'x'.repeat(70_000)));
    const numbers = Array.from({ length: 50_000 }, () => queue.envelope(out('a', 'b', 'x')));
    const startMs = performance.now();
    expect(numbers.every((number) => queue.holds(number))).toBe(true);
    let taken = 0;
    while (queue.next() !== undefined) taken += 1;
    expect([taken, numbers.some((number) => queue.holds(number))]).toEqual([50_002, false]);
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  it('holds, of what was given a number, exactly what was not handed out, also after it was cleared', () => {
    const random = seededRandom(testSeed);
    const queue = new FrameQueue(new FramePool());
    const held = new Set<number>();
    for (let n = 0; n < 3_000; n++) {
      const chance = random.next();
      const size = chance < 0.1 ? 70_000 : 5_000;
      if (chance < 0.6) held.add(queue.envelope(out(`s${n % 3}`, 'r', 'x'.repeat(size))));
      else if (chance < 0.99) held.delete(queue.next()?.number ?? 0);
      else {
        queue.clear();
        expect([...held].some((number) => queue.holds(number))).toBe(false);
        held.clear();
      }
      expect([...held].every((number) => queue.holds(number))).toBe(true);
    }
  });

  it('holds nothing after it was cleared, and goes on', () => {
    const queue = new FrameQueue(new FramePool());
    const numbers = [queue.envelope(out('a', 'b', 'x')), queue.envelope(out('a', 'b', 'x'.repeat(100_000)))];
    queue.clear();
    expect(numbers.map((number) => queue.holds(number))).toEqual([false, false]);
    expect([queue.isEmpty, queue.bytes, queue.next()]).toEqual([true, 0, undefined]);
    const texts: string[] = [];
    queue.envelope(out('d', 'b', 'x'.repeat(100_000)));
    queue.envelope(out('d', 'b', 'x'));
    readAll(
      queue,
      readerOf(({ from }) => texts.push(from)),
    );
    expect(texts).toEqual(['d', 'd']);
  });
});

describe('frames that come', () => {
  it('are refused when they are garbage or cut off', () => {
    const queue = new FrameQueue(new FramePool());
    queue.envelope(out('a', 'b', 'hello'));
    const frame = Buffer.from(queue.next()?.bytes as Buffer);
    const incoming = () => readerOf(none);
    for (let length = 1; length < frame.length; length++)
      expect(() => incoming().read(frame.subarray(0, length))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    for (const bytes of [[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x3a], [0xff], [0x0a, 0x7f, 1], [0x32, 2, 0x12, 0x7f]])
      expect(() => incoming().read(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('in more parts than may be kept are refused', () => {
    const incoming = readerOf(none);
    const part = (id: number, size: number) => {
      const data = Buffer.alloc(size);
      const head = Buffer.from([0x08, id, 0x12, (size & 0x7f) | 0x80, ((size >> 7) & 0x7f) | 0x80, size >> 14]);
      const length = head.length + size;
      return Buffer.concat([
        Buffer.from([0x32, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]),
        head,
        data,
      ]);
    };
    const tooMany = expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_PARTS' });
    for (let id = 1; id <= 16; id++) incoming.read(part(id, 20_000));
    expect(() => incoming.read(part(17, 20_000))).toThrow(tooMany as never);
    const other = readerOf(none);
    expect(() => {
      for (let n = 0; n < 20; n++) other.read(part(1, 1_000_000));
    }).toThrow(tooMany as never);
  });

  it('writes into buffers that have been written, of all queues, and into no other', () => {
    const pool = new FramePool();
    const [one, other] = [new FrameQueue(pool), new FrameQueue(pool)];
    one.envelope(out('a', 'b', 'first'));
    const first = one.next()?.bytes;
    one.envelope(out('a', 'b', 'second'));
    const second = one.next()?.bytes;
    expect(second?.buffer).not.toBe(first?.buffer);
    one.written();
    other.envelope(out('a', 'b', 'third'));
    expect(other.next()?.bytes.buffer).toBe(second?.buffer);
    // The link broke: nobody knows who still reads it.
    other.restart();
    other.written();
    one.envelope(out('a', 'b', 'fourth'));
    expect(one.next()?.bytes.buffer).not.toBe(second?.buffer);
  });

  it('gives the buffers of what is forgotten to others', () => {
    const pool = new FramePool();
    const buffers = [pool.take(1), pool.take(1)];
    for (const buffer of buffers) pool.give(buffer);
    const memory = new Set(buffers.map(({ buffer }) => buffer));
    const queue = new FrameQueue(pool);
    // One frame that is complete, and one that is open.
    for (let n = 0; n < 30; n++) queue.envelope(out('a', 'b', 'x'.repeat(1_000)));
    queue.clear();
    expect([pool.take(1), pool.take(1)].map(({ buffer }) => memory.has(buffer))).toEqual([true, true]);
  });
});
