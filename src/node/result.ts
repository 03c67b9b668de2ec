import { messageOf, TroupeError } from '../core/errors.js';
import type { Payload } from '../core/payload.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { MAX_MESSAGE_BYTES } from '../rpc/server.js';

/** What a result needs beside its payload. */
const ENVELOPE_BYTES = 1024;

/** @throws INTERNAL / RESULT_NOT_JSON, RESOURCE_EXHAUSTED / RESULT_TOO_LARGE: the agent's result cannot travel. */
export function encodeResult(payload: Payload): Buffer {
  let bytes: Buffer;
  try {
    bytes = encodePayload(payload);
  } catch (error) {
    throw new TroupeError('INTERNAL', 'RESULT_NOT_JSON', `what the agent returned cannot be sent: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (bytes.length <= MAX_MESSAGE_BYTES - ENVELOPE_BYTES) return bytes;
  throw new TroupeError(
    'RESOURCE_EXHAUSTED',
    'RESULT_TOO_LARGE',
    `the agent's result has ${bytes.length} bytes; at most ${MAX_MESSAGE_BYTES - ENVELOPE_BYTES} can be sent: stream it in chunks`,
  );
}
