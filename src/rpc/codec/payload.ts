import { BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { invalidArgument, messageOf, TroupeError } from '../../core/errors.js';
import { EMPTY_PAYLOAD, type Payload } from '../../core/payload.js';
import { encodeWith } from '../encode.js';
import { decodeJson, writeJson } from './json-value.js';

/** troupe.v1.Payload to and from its encoded form: what travels, and what only its two ends look into. */

const MAX_CONTENT_TYPE_CHARS = 255;

/** @throws TroupeError INVALID_ARGUMENT when the bytes are no payload. */
export function decodePayload(bytes: Uint8Array): Payload {
  if (bytes.length === 0) return EMPTY_PAYLOAD;
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof TroupeError) throw error;
    throw new TroupeError('INVALID_ARGUMENT', 'MALFORMED_MESSAGE', `payload: cannot be decoded: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** @throws TroupeError INVALID_ARGUMENT when the content is no JSON value. */
export function encodePayload(payload: Payload): Buffer {
  return payload.kind === 'empty' ? Buffer.alloc(0) : encodeWith((writer) => write(writer, payload));
}

function write(writer: BinaryWriter, payload: Exclude<Payload, { kind: 'empty' }>): void {
  switch (payload.kind) {
    case 'json':
      writer.tag(1, WireType.LengthDelimited).fork();
      writeJson(writer, payload.json);
      writer.join();
      break;
    case 'text':
      writer.tag(2, WireType.LengthDelimited).string(payload.text);
      break;
    case 'data':
      writer.tag(3, WireType.LengthDelimited).bytes(payload.data);
      break;
  }
  if (payload.contentType !== undefined) writer.tag(4, WireType.LengthDelimited).string(payload.contentType);
}

function read(bytes: Uint8Array): Payload {
  const reader = new BinaryReader(bytes);
  let payload: Payload = EMPTY_PAYLOAD;
  let contentType = '';
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
    else if (field === 1) payload = { kind: 'json', json: decodeJson(reader.bytes()) };
    else if (field === 2) payload = { kind: 'text', text: reader.string(true) };
    else if (field === 3) payload = { kind: 'data', data: reader.bytes() };
    else if (field === 4) contentType = reader.string(true);
    else reader.skip(wireType, field);
  }
  if (contentType.length > MAX_CONTENT_TYPE_CHARS)
    throw invalidArgument('payload.content_type', `must be at most ${MAX_CONTENT_TYPE_CHARS} characters`);
  return contentType === '' || payload.kind === 'empty' ? payload : { ...payload, contentType };
}
