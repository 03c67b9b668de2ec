import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '../../../../src/core/json.js';
import { Value } from '../../../../src/gen/google/protobuf/struct.js';
import { decodeJson, writeJson } from '../../../../src/rpc/codec/json-value.js';
import { encodeWith } from '../../../../src/rpc/encode.js';

/** Any JSON value; its keys may be any but the one that the generated code cannot hold. */
const json = fc
  .jsonValue({ maxDepth: 6, noUnicodeString: false })
  .filter((value) => !JSON.stringify(value).includes('__proto__'));

function encodeJson(value: Json): Uint8Array {
  return encodeWith((writer) => writeJson(writer, value));
}

function encodeGenerated(value: unknown): Uint8Array {
  return Value.encode(Value.wrap(value)).finish();
}

function decodeGenerated(bytes: Uint8Array): unknown {
  return Value.unwrap(Value.decode(bytes));
}

/** `depth` lists, one in the other, as a Value. */
function nestedLists(depth: number): Uint8Array {
  const headers: Uint8Array[] = [];
  let length = 0;
  const wrap = (field: number) => {
    const header = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish();
    headers.push(header);
    length += header.length;
  };
  // From the inside: the item of the list, then the list.
  for (let i = 0; i < depth; i++) for (const field of [1, 6]) wrap(field);
  return Buffer.concat(headers.reverse());
}

/** `depth` objects, one in the other. */
function nested(depth: number): Json {
  let value: Json = 'bottom';
  for (let i = 0; i < depth; i++) value = { a: value };
  return value;
}

describe('google.protobuf.Value', () => {
  it('is decoded as it was encoded', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(decodeJson(encodeJson(value as Json))).toEqual(value);
      }),
    );
  });

  it('is decoded by generated code as it was encoded here', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(decodeGenerated(encodeJson(value as Json))).toEqual(value);
      }),
    );
  });

  it('is decoded here as generated code encoded it', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(decodeJson(encodeGenerated(value))).toEqual(value);
      }),
    );
  });

  it.each([[null], [true], [false], [0], [-0], [1.5], [-1e308], [''], ['ä€😀\0'], [[]], [{}], [[null, [], {}]]])(
    'holds %j',
    (value) => {
      expect(decodeJson(encodeJson(value))).toStrictEqual(value);
    },
  );

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''])('keeps a key "%s" as plain data', (key) => {
    for (const item of [{ polluted: true }, 'text', null]) {
      const bytes = encodeJson(Object.fromEntries([[key, item]]));
      const decoded = decodeJson(bytes) as object;
      expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
      expect(Object.getOwnPropertyDescriptor(decoded, key)?.value).toEqual(item);
      expect(Object.keys(decoded)).toEqual([key]);
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('leaves out what is undefined in an object, takes it for null in a list, and asks toJSON, as JSON.stringify does', () => {
    const given = { a: undefined, b: [undefined, 1], c: new Date(0) } as unknown as Json;
    expect(decodeJson(encodeJson(given))).toEqual({ b: [null, 1], c: '1970-01-01T00:00:00.000Z' });
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [1n], [Symbol('a')], [() => 1], [undefined]])('refuses %p', (value) => {
    for (const given of value === undefined ? [value] : [value, [value], { a: [{ b: value }] }]) {
      expect(() => encodeJson(given as unknown as Json)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'NOT_JSON' }),
      );
    }
  });

  it('may be 100 levels deep, and not deeper', () => {
    expect(decodeJson(encodeJson(nested(100)))).toEqual(nested(100));
    expect(decodeJson(nestedLists(100))).toBeDefined();
    const tooDeep = expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'TOO_DEEP' });
    expect(() => encodeJson(nested(101))).toThrow(tooDeep);
    expect(() => encodeJson(nested(20_000))).toThrow(tooDeep);
    expect(() => decodeJson(nestedLists(101))).toThrow(tooDeep);
    expect(() => decodeJson(nestedLists(20_000))).toThrow(tooDeep);
  });

  it('refuses what refers to itself, at once', () => {
    const circle: Record<string, unknown> = {};
    for (const key of ['a', 'b', 'c']) circle[key] = [circle, circle];
    expect(() => encodeJson(circle as Json)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    const same = { x: 1 };
    expect(decodeJson(encodeJson({ a: same, b: [same, same] }))).toEqual({ a: same, b: [same, same] });
  });

  it('throws on bytes that are cut or random, and never hangs', () => {
    const whole = encodeJson({ a: ['b', { c: 1 }], d: true });
    for (let length = 1; length < whole.length; length++) expect(() => decodeJson(whole.subarray(0, length))).toThrow();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeJson(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses a part that is longer than what it is part of', () => {
    // A list of 2 bytes whose item says that it has 3, followed by a byte more.
    const bytes = Uint8Array.from([0x32, 0x02, 0x0a, 0x02, 0x20, 0x01]);
    expect(() => decodeJson(bytes)).toThrow();
  });

  it('refuses strings that are not UTF-8', () => {
    expect(() => decodeJson(Uint8Array.from([0x1a, 0x02, 0xc3, 0x28]))).toThrow();
  });
});
