import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isTroupeError } from '../../../src/core/errors.js';
import type { Json } from '../../../src/core/json.js';
import { EMPTY_PAYLOAD, type Payload, payload, payloadJson, payloadText, toPayload } from '../../../src/core/payload.js';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('toPayload', () => {
  const data = bytes('hello');
  it.each<[string, Parameters<typeof toPayload>[0], Payload]>([
    ['nothing into an empty payload', undefined, EMPTY_PAYLOAD],
    ['a string into text', 'hello', { kind: 'text', text: 'hello' }],
    ['an empty string into text', '', { kind: 'text', text: '' }],
    ['bytes into data', data, { kind: 'data', data }],
    ['null into JSON', null, { kind: 'json', json: null }],
    ['a number into JSON', 0, { kind: 'json', json: 0 }],
    ['an object into JSON', { a: [1] }, { kind: 'json', json: { a: [1] } }],
    ['tagged text', payload('<svg/>', 'image/svg+xml'), { kind: 'text', text: '<svg/>', contentType: 'image/svg+xml' }],
    ['tagged bytes', payload(data, 'image/png'), { kind: 'data', data, contentType: 'image/png' }],
    ['tagged JSON', payload([1], 'application/geo+json'), { kind: 'json', json: [1], contentType: 'application/geo+json' }],
  ])('turns %s', (_name, input, expected) => {
    expect(toPayload(input)).toEqual(expected);
  });
});

describe('payloadJson', () => {
  it.each<[string, Payload, Json | undefined]>([
    ['nothing for an empty payload', EMPTY_PAYLOAD, undefined],
    ['JSON as it is', { kind: 'json', json: { a: 1 } }, { a: 1 }],
    ['text parsed', { kind: 'text', text: '{"a":1}' }, { a: 1 }],
    ['bytes parsed', { kind: 'data', data: bytes('[1,"ü"]') }, [1, 'ü']],
  ])('gives %s', (_name, content, expected) => {
    expect(payloadJson(content)).toEqual(expected);
  });

  it.each<[string, Payload]>([
    ['text', { kind: 'text', text: 'hello' }],
    ['empty text', { kind: 'text', text: '' }],
    ['bytes', { kind: 'data', data: new Uint8Array([0xff]) }],
  ])('throws INVALID_ARGUMENT for %s that is not JSON', (_name, content) => {
    let thrown: unknown;
    try {
      payloadJson(content);
    } catch (error) {
      thrown = error;
    }
    expect(isTroupeError(thrown, 'INVALID_FIELD')).toBe(true);
    expect(thrown).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'payload' }] });
  });
});

describe('payloadText', () => {
  it.each<[string, Payload, string]>([
    ['"" for an empty payload', EMPTY_PAYLOAD, ''],
    ['text as it is', { kind: 'text', text: 'hello' }, 'hello'],
    ['bytes as UTF-8', { kind: 'data', data: bytes('grüße') }, 'grüße'],
    ['JSON in its compact form', { kind: 'json', json: { a: [1, null] } }, '{"a":[1,null]}'],
  ])('gives %s', (_name, content, expected) => {
    expect(payloadText(content)).toBe(expected);
  });

  it('gives JSON text that parses to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as Json;
        expect(payloadJson({ kind: 'text', text: payloadText({ kind: 'json', json }) })).toEqual(json);
      }),
    );
  });
});
