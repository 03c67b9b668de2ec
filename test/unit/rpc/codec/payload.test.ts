import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '../../../../src/core/json.js';
import { EMPTY_PAYLOAD, type Payload } from '../../../../src/core/payload.js';
import { Payload as Message } from '../../../../src/gen/troupe/v1/payload.js';
import { decodePayload, encodePayload } from '../../../../src/rpc/codec/payload.js';

const text = fc.string({ unit: 'grapheme' });
const bytes = fc.uint8Array({ maxLength: 100 });
const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__')) as fc.Arbitrary<Json>;
const contentType = fc.option(fc.constantFrom('image/svg+xml', 'text/csv'), { nil: undefined });
const content: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ kind: fc.constant('json' as const), json }),
  fc.record({ kind: fc.constant('text' as const), text }),
  fc.record({ kind: fc.constant('data' as const), data: bytes }),
);
const payloads = fc
  .tuple(content, contentType)
  .map(([payload, type]): Payload => (type === undefined ? payload : ({ ...payload, contentType: type } as Payload)));

function plain(payload: Payload): unknown {
  return payload.kind === 'data' ? { ...payload, data: [...payload.data] } : payload;
}

function fromMessage({ content: given, contentType: type }: Message): unknown {
  const tagged = type === '' ? {} : { contentType: type };
  switch (given?.$case) {
    case 'json':
      return { kind: 'json', json: given.value, ...tagged };
    case 'text':
      return { kind: 'text', text: given.value, ...tagged };
    case 'data':
      return { kind: 'data', data: [...given.value], ...tagged };
    default:
      return EMPTY_PAYLOAD;
  }
}

describe('Payload', () => {
  it('is decoded as it was encoded, here and by generated code', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const encoded = encodePayload(payload);
        expect(plain(decodePayload(encoded))).toEqual(plain(payload));
        expect(fromMessage(Message.decode(encoded))).toEqual(plain(payload));
        expect(plain(decodePayload(Message.encode(Message.decode(encoded)).finish()))).toEqual(plain(payload));
      }),
    );
  });

  it('is no byte when it is empty', () => {
    expect(encodePayload(EMPTY_PAYLOAD)).toHaveLength(0);
    expect(decodePayload(new Uint8Array())).toBe(EMPTY_PAYLOAD);
  });

  it.each([[[0x0a]], [[0x0a, 0xff]], [[0x12, 0x02, 0xc3, 0x28]], [[0x07]], [Array(100).fill(0x0b)]])('refuses %j', (given) => {
    expect(() => decodePayload(Uint8Array.from(given))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('refuses a content type that is longer than the contract allows', () => {
    const given = encodePayload({ kind: 'text', text: 'a', contentType: 'x'.repeat(256) });
    expect(() => decodePayload(given)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
