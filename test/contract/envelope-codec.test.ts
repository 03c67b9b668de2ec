import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TroupeError } from '../../src/core/errors.js';
import type { Payload } from '../../src/core/payload.js';
import { OpenRequest } from '../../src/gen/troupe/internal/v1/link.js';
import { Envelope, EnvelopeKind } from '../../src/gen/troupe/v1/envelope.js';
import { EnvelopeReader } from '../../src/link/envelope-reader.js';
import { EnvelopeWriter, type OutgoingEnvelope, type RareFields, type Target } from '../../src/link/envelope-writer.js';
import { decodePayload } from '../../src/rpc/codec/payload.js';
import { toStatusMessage } from '../../src/rpc/status.js';
import { testSeed } from '../support/seeded-random.js';

/** The field of frames that holds envelopes. */
const ENVELOPES = 0x3a;

class Bytes implements Target {
  length = 0;
  private buffer: Buffer = Buffer.alloc(8);

  room(bytes: number): Buffer {
    if (this.length + bytes > this.buffer.length) {
      const larger = Buffer.alloc((this.length + bytes) * 2);
      this.buffer.copy(larger);
      this.buffer = larger;
    }
    return this.buffer;
  }

  get written(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

function written(...envelopes: readonly OutgoingEnvelope[]): Buffer {
  const target = new Bytes();
  const writer = new EnvelopeWriter();
  for (const envelope of envelopes) writer.write(target, ENVELOPES, envelope);
  return target.written;
}

const EMPTY: OutgoingEnvelope = {
  kind: EnvelopeKind.ENVELOPE_KIND_SEND,
  correlationId: 0,
  from: '',
  to: '',
  topic: '',
  content: undefined,
  deadlineMs: 0,
  sequence: 0,
  rare: undefined,
};

const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/);
const nameOrNone = fc.oneof(fc.constant(''), name);
const number = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(0x7f, 0x80, 0x3fff, 0x4000, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 35, 2 ** 49),
);
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ minLength: 60, maxLength: 140 }));
const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.constant<Payload>({ kind: 'empty' }),
  text.map((each): Payload => ({ kind: 'text', text: each })),
  fc.uint8Array({ maxLength: 300 }).map((data): Payload => ({ kind: 'data', data: Buffer.from(data) })),
  fc
    .jsonValue({ noUnicodeString: false } as never)
    .map((json): Payload => ({ kind: 'json', json: JSON.parse(JSON.stringify(json)) as never })),
  text.map((each): Payload => ({ kind: 'text', text: each, contentType: 'text/plain' })),
);
const rare: fc.Arbitrary<RareFields> = fc.record(
  {
    id: text,
    hops: fc.nat(8),
    headers: fc.array(fc.tuple(fc.string({ minLength: 1 }), text), { maxLength: 4 }).map((entries) => new Map(entries)),
    demand: fc.nat(1_000),
    waitForRoom: fc.boolean(),
    atLeastOnce: fc.boolean(),
    fromNode: nameOrNone,
    visitedNodes: fc.array(name, { maxLength: 4 }),
    error: text.map((message) => toStatusMessage(new TroupeError('ABORTED', 'WHY', message))),
    receipts: fc.record({
      delivered: fc.array(name, { maxLength: 3 }),
      refused: fc.array(name, { maxLength: 3 }),
      list: fc.nat(1_000),
    }),
  },
  { requiredKeys: [] },
);
const envelope: fc.Arbitrary<OutgoingEnvelope> = fc.record({
  kind: fc.integer({ min: 1, max: 11 }) as fc.Arbitrary<EnvelopeKind>,
  correlationId: number,
  from: nameOrNone,
  to: nameOrNone,
  topic: fc.oneof(fc.constant(''), fc.stringMatching(/^[a-z]{1,63}(\.[A-Z0-9_-]{1,63}){0,3}$/)),
  content: fc.option(payload, { nil: undefined }),
  deadlineMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4_000_000_000_000 })),
  sequence: number,
  rare: fc.option(rare, { nil: undefined }),
});

/** What the generated code makes of it. */
function generated(out: OutgoingEnvelope) {
  const {
    id = '',
    hops = 0,
    demand = 0,
    waitForRoom = false,
    atLeastOnce = false,
    fromNode = '',
    visitedNodes = [],
  } = out.rare ?? {};
  return {
    kind: out.kind,
    correlationId: BigInt(out.correlationId),
    from: out.from,
    to: out.to,
    topic: out.topic,
    deadline: out.deadlineMs === 0 ? undefined : new Date(out.deadlineMs),
    sequence: BigInt(out.sequence),
    ...{ id, hops, demand, waitForRoom, atLeastOnce, fromNode, visitedNodes },
    headers: new Map(out.rare?.headers ?? []),
    error: out.rare?.error,
    receipts: out.rare?.receipts,
    streaming: demand > 0 && out.kind === EnvelopeKind.ENVELOPE_KIND_REQUEST,
  };
}

describe(`the codec of envelopes (seed ${testSeed})`, () => {
  it('writes what the generated code reads, one after the other in one buffer', () => {
    fc.assert(
      fc.property(fc.array(envelope, { maxLength: 6 }), (envelopes) => {
        const { envelopes: read } = OpenRequest.decode(written(...envelopes));
        expect(read).toHaveLength(envelopes.length);
        for (const [index, out] of envelopes.entries()) expect(read[index]).toMatchObject(generated(out));
      }),
      { seed: testSeed, numRuns: 300 },
    );
  });

  it('reads what it writes, and contents as they were', () => {
    const reader = new EnvelopeReader();
    fc.assert(
      fc.property(envelope, (out) => {
        const whole = Envelope.encode(OpenRequest.decode(written(out)).envelopes[0] as Envelope).finish();
        for (const bytes of [Buffer.from(whole), bodyOf(written(out))]) {
          reader.read(bytes, 0, bytes.length);
          const {
            id = '',
            hops = 0,
            demand = 0,
            waitForRoom = false,
            atLeastOnce = false,
            fromNode = '',
            visitedNodes = [],
          } = out.rare ?? {};
          const { kind: code, correlationId, from, to, topic, deadlineMs, sequence } = out;
          expect(reader).toMatchObject({ code, correlationId, from, to, topic, deadlineMs, sequence });
          expect(reader).toMatchObject({ id, hops, demand, waitForRoom, atLeastOnce, fromNode, visitedNodes: [...visitedNodes] });
          expect([...reader.headers]).toEqual([...(out.rare?.headers ?? [])]);
          expect(reader.error()?.message).toEqual(out.rare?.error?.message);
          expect(reader.receipts()).toEqual(out.rare?.receipts);
          const content = out.content ?? { kind: 'empty' };
          const expected = 'kind' in content ? content : content.decode();
          const read = reader.content;
          expect(plain(read.decode())).toEqual(plain(expected));
          expect(plain(decodePayload(read.bytes()))).toEqual(plain(expected));
          read.retain();
          bytes.fill(0);
          expect(plain(read.decode())).toEqual(plain(expected));
          // As it goes on to another node.
          const onward = Envelope.decode(bodyOf(written({ ...out, content: read })));
          expect({ ...onward, payload: undefined }).toEqual({ ...Envelope.decode(bodyOf(written(out))), payload: undefined });
          if (read.length > 0) expect(onward.payload).toEqual(Envelope.decode(bodyOf(written(out))).payload);
        }
      }),
      { seed: testSeed, numRuns: 300 },
    );
  });

  it('writes large contents of every kind', () => {
    for (const size of [63, 64, 65, 127, 128, 16_383, 16_384, 65_536, 3_000_000]) {
      for (const content of [
        { kind: 'text', text: 'x'.repeat(size) },
        { kind: 'text', text: 'ü'.repeat(size / 3) },
        { kind: 'data', data: Buffer.alloc(size, 7) },
        { kind: 'json', json: { text: 'é'.repeat(size / 3) } },
      ] as Payload[]) {
        const bytes = bodyOf(written({ ...EMPTY, content }));
        const reader = new EnvelopeReader();
        reader.read(bytes, 0, bytes.length);
        expect(JSON.stringify(plain(reader.content.decode())) === JSON.stringify(plain(content))).toBe(true);
      }
    }
  });

  it('keeps to the bytes of the contract', () => {
    const out: OutgoingEnvelope = {
      ...EMPTY,
      kind: EnvelopeKind.ENVELOPE_KIND_REQUEST,
      correlationId: 300,
      from: 'a',
      to: 'b',
      content: { kind: 'text', text: 'hi' },
      deadlineMs: 1_500,
      rare: { demand: 16 },
    };
    expect(written(out).toString('hex')).toBe(
      ['3a21', '0802', '10ac02', '1a0161', '220162', '3204', '12026869', '3a08', '080110', '80cab5ee01', '880101', '900110'].join(
        '',
      ),
    );
  });

  it('refuses what is cut off or garbage, and never reads on for ever', () => {
    const reader = new EnvelopeReader();
    fc.assert(
      fc.property(envelope, fc.nat(), fc.nat(255), (out, place, byte) => {
        const bytes = bodyOf(written(out));
        const cut = bytes.subarray(0, place % (bytes.length + 1));
        const changed = Buffer.from(bytes);
        changed[place % changed.length] = byte;
        for (const each of [cut, changed, Buffer.from([byte, ...bytes])]) {
          try {
            reader.read(each, 0, each.length);
            reader.error();
            reader.receipts();
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        }
      }),
      { seed: testSeed, numRuns: 500 },
    );
  });
});

function bodyOf(frame: Buffer): Buffer {
  const { envelopes } = OpenRequest.decode(frame);
  const length = frame.length;
  // The frame holds one envelope: its tag and its length go first.
  let pos = 1;
  while ((frame[pos] as number) >= 0x80) pos += 1;
  expect(envelopes).toHaveLength(1);
  return Buffer.from(frame.subarray(pos + 1, length));
}

/** Bytes as what they are, whatever their class. */
function plain(content: Payload): unknown {
  return content.kind === 'data' ? { ...content, data: Buffer.from(content.data).toString('base64') } : content;
}
