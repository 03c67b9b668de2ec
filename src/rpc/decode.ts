import { BinaryReader } from '@bufbuild/protobuf/wire';
import { messageOf, TroupeError } from '../core/errors.js';
import type { MessageType } from './service.js';

/** Refuses strings that are not UTF-8, as proto3 demands; by itself the reader replaces what is wrong in silence. */
class StrictReader extends BinaryReader {
  override string(): string {
    return super.string(true);
  }
}

/** Generated code takes an end of a group, or a field number of 0, for the end of the message, and the rest for nothing. */
function checkFields(bytes: Buffer): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    reader.skip(wireType, field);
  }
}

/** A message that came from outside. @throws TroupeError INVALID_ARGUMENT / MALFORMED_MESSAGE. */
export function decodeMessage<T>(type: MessageType<T>, bytes: Buffer): T {
  try {
    checkFields(bytes);
    return type.decode(new StrictReader(bytes));
  } catch (error) {
    throw new TroupeError('INVALID_ARGUMENT', 'MALFORMED_MESSAGE', `the message cannot be decoded: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
