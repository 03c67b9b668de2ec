import { messageOf, TroupeError } from '../core/errors.js';
import { EMPTY_PAYLOAD, type PayloadInput, TaggedPayload } from '../core/payload.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { decodePayload } from '../rpc/codec/payload.js';
import { fromStatusMessage } from '../rpc/status.js';

/** Settles what waits for the answer that came as `bytes`. */
export function answer(bytes: Buffer, resolve: (answer: PayloadInput) => void, reject: (error: unknown) => void): void {
  try {
    resolve(tagged(bytes));
  } catch (error) {
    reject(malformed(error));
  }
}

export function partOf(bytes: Buffer): TaggedPayload | TroupeError {
  try {
    return tagged(bytes);
  } catch (error) {
    return malformed(error);
  }
}

function malformed(error: unknown): TroupeError {
  return new TroupeError('INTERNAL', 'MALFORMED_ANSWER', `what the agent answered cannot be read: ${messageOf(error)}`);
}

/** @throws INVALID_ARGUMENT */
function tagged(bytes: Buffer): TaggedPayload {
  return new TaggedPayload(bytes.length === 0 ? EMPTY_PAYLOAD : decodePayload(bytes));
}

/** Why a program did not answer, in its own words. */
export function errorOf({ error }: RoutedEnvelope): TroupeError {
  if (error === undefined || error.code === 0)
    return new TroupeError('UNKNOWN', 'AGENT_ERROR', error?.message || 'the agent failed, and did not say why');
  try {
    return fromStatusMessage(error);
  } catch {
    return new TroupeError('UNKNOWN', 'AGENT_ERROR', error.message);
  }
}

export function unknownCorrelation(id: bigint): TroupeError {
  return new TroupeError(
    'INVALID_ARGUMENT',
    'UNKNOWN_CORRELATION_ID',
    `correlation_id: nothing was given to this program under ${id}; answer under the id that came`,
  );
}
