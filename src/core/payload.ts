import { invalidArgument, type TroupeError } from './errors.js';
import type { Json } from './json.js';

/** Content of a task or a result. */
export type Payload =
  | { readonly kind: 'json'; readonly json: Json; readonly contentType?: string }
  | { readonly kind: 'text'; readonly text: string; readonly contentType?: string }
  | { readonly kind: 'data'; readonly data: Uint8Array; readonly contentType?: string }
  | { readonly kind: 'empty' };

export const EMPTY_PAYLOAD: Payload = { kind: 'empty' };

/** What an author or caller may give where a payload is wanted: a string is text, bytes are data, all else is JSON. */
export type PayloadInput = string | number | boolean | object | null | undefined;

/** A payload that says its own content type. Made by `payload()`. */
export class TaggedPayload {
  constructor(readonly payload: Payload) {}
}

/** A payload with a media type (RFC 6838), such as `image/svg+xml`. */
export function payload(content: PayloadInput, contentType: string): TaggedPayload {
  return new TaggedPayload({ ...toPayload(content), contentType } as Payload);
}

/** Of an encoded payload: of the 4 MiB that a message of gRPC may have, 64 KiB are left to what goes with it on its way. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024 - 64 * 1024;

/** What is wrong with an encoded payload of so many bytes. */
export function payloadTooLarge(bytes: number): TroupeError {
  return invalidArgument('payload', `must be at most ${MAX_PAYLOAD_BYTES} bytes, encoded; got ${bytes}`);
}

export function toPayload(input: PayloadInput): Payload {
  if (input === undefined) return EMPTY_PAYLOAD;
  if (input instanceof TaggedPayload) return input.payload;
  if (typeof input === 'string') return { kind: 'text', text: input };
  if (input instanceof Uint8Array) return { kind: 'data', data: input };
  return { kind: 'json', json: input as Json };
}

/**
 * The payload as a JSON value; text and bytes are parsed as JSON. @throws TroupeError INVALID_ARGUMENT when they are not.
 */
export function payloadJson(content: Payload): Json | undefined {
  switch (content.kind) {
    case 'empty':
      return undefined;
    case 'json':
      return content.json;
    case 'text':
    case 'data':
      try {
        return JSON.parse(payloadText(content)) as Json;
      } catch {
        throw invalidArgument('payload', 'is not JSON; send the json field, or text that is JSON');
      }
  }
}

/** The payload as text: text as it is, bytes as UTF-8, JSON in its compact form, empty as "". */
export function payloadText(content: Payload): string {
  switch (content.kind) {
    case 'empty':
      return '';
    case 'text':
      return content.text;
    case 'json':
      return JSON.stringify(content.json);
    case 'data':
      return new TextDecoder().decode(content.data);
  }
}
