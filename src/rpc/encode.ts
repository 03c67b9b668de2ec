import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { asBuffer } from '../core/bytes.js';
import type { MessageType } from './service.js';

/** A writer that wrote more than this is not kept: one large message would hold its memory for ever. */
const MAX_KEPT_BYTES = 64 * 1024;

/** Kept between messages: a writer for each, and the memory it grows into, take longer than the rest of a small message. */
let spare: BinaryWriter | undefined;

/** A message as bytes of its own. @throws what the generated code throws of values that do not fit their fields. */
export function encodeMessage<T>(type: MessageType<T>, message: T): Buffer {
  return encodeWith((writer) => type.encode(message, writer));
}

/** What `write` writes, as bytes of its own. */
export function encodeWith(write: (writer: BinaryWriter) => void): Buffer {
  const writer = spare ?? new BinaryWriter();
  // Not to be had meanwhile: a message inside another is written by one of its own, and one that fails leaves nothing behind.
  spare = undefined;
  write(writer);
  const bytes = writer.finish();
  if (bytes.length <= MAX_KEPT_BYTES) spare = writer;
  return asBuffer(bytes);
}
