import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { type ErrorCode, messageOf, TroupeError } from '../core/errors.js';
import { BadRequest, ErrorInfo, PreconditionFailure, QuotaFailure, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { durationFromMs, msFromDuration } from './codec/time.js';

/** The only place where errors become gRPC statuses, and gRPC statuses become errors (AIP-193). */

const DOMAIN = 'troupe.dev';
const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/';
/**
 * A status travels in headers, of which some peers take no more than 8 KiB (grpc-java, C-core), and nobody a megabyte: what is longer
 * is cut, and what there is too much of is left out. All in bytes of UTF-8; the message travels twice, once as `%xx`.
 */
const MAX_MESSAGE_BYTES = 1_024;
const MAX_REASON_BYTES = 63;
const MAX_FACTS_BYTES = 1_100;
const MAX_VIOLATIONS_BYTES = 1_100;
const MAX_KEY_BYTES = 128;
const MAX_TEXT_BYTES = 512;
/** What the tags and lengths of an entry take. */
const FRAMING_BYTES = 16;

/** What a client gets for `error`: ours with its details, everything else an opaque INTERNAL. */
export function toStatusObject(error: unknown): StatusObject {
  const message = toStatusMessage(error);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode(message).finish()));
  return { code: message.code, details: message.message, metadata };
}

/** The same as a message, for streams that carry the outcomes of many calls. */
export function toStatusMessage(error: unknown): Status {
  const known =
    error instanceof TroupeError
      ? error
      : new TroupeError('INTERNAL', 'INTERNAL', 'internal error; the log of the process that answered says more');
  return { code: status[known.code], message: printable(known.message), details: encodeDetails(known) };
}

/** The error that `toStatusMessage` made a message of. */
export function fromStatusMessage({ code, message, details }: Status): TroupeError {
  return fromDetails((status[code] ?? 'UNKNOWN') as ErrorCode, message, readDetails(details));
}

/** The error that a call ended with. */
export function fromServiceError(error: unknown): TroupeError {
  if (error instanceof TroupeError) return error;
  if (!isStatus(error)) return new TroupeError('UNKNOWN', 'UNKNOWN', messageOf(error), { cause: error });
  const code = (status[error.code] ?? 'UNKNOWN') as ErrorCode;
  const encoded = error.metadata?.get(DETAILS_KEY)[0];
  const decoded = encoded instanceof Buffer ? decodeDetails(encoded) : undefined;
  if (decoded !== undefined) return fromDetails(code, error.details, decoded);
  return new TroupeError(code, code, withoutTrace(error.details), { cause: error });
}

function fromDetails(code: ErrorCode, message: string, { info, ...details }: DecodedDetails): TroupeError {
  const metadata = info === undefined ? {} : Object.fromEntries(info.metadata);
  return new TroupeError(code, info?.reason || code, message, { ...details, metadata });
}

/** grpc-js adds to a passed deadline where the time went, and to a failed connection what was not resolved: nothing to a user. */
function withoutTrace(details: string): string {
  return details.replace(/^(Deadline exceeded after [\d.]+s),.*$/s, '$1').replace(/\s*Resolution note:\s*$/, '');
}

function isStatus(error: unknown): error is Pick<ServiceError, 'code' | 'details'> & Partial<Pick<ServiceError, 'metadata'>> {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

function encodeDetails(error: TroupeError): { typeUrl: string; value: Buffer }[] {
  const reason = cut(error.reason, MAX_REASON_BYTES);
  const facts = Object.entries(error.metadata).map(([key, value]) => [key, value] as const);
  const metadata = new Map(fitting(facts, MAX_FACTS_BYTES));
  const details = [any('google.rpc.ErrorInfo', ErrorInfo.encode({ reason, domain: DOMAIN, metadata }).finish())];
  if (error.retryAfterMs !== undefined) {
    details.push(any('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay: durationFromMs(error.retryAfterMs) }).finish()));
  }
  const given = error.violations.map(({ field, description }) => [field, description] as const);
  const violations = fitting(given, MAX_VIOLATIONS_BYTES - (error.code === 'FAILED_PRECONDITION' ? MAX_REASON_BYTES : 0));
  if (violations.length === 0) return details;
  switch (error.code) {
    case 'INVALID_ARGUMENT': {
      const fieldViolations = violations.map(([field, description]) => ({ field, description }));
      details.push(any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations }).finish()));
      break;
    }
    case 'RESOURCE_EXHAUSTED': {
      const exceeded = violations.map(([subject, description]) => ({ subject, description }));
      details.push(any('google.rpc.QuotaFailure', QuotaFailure.encode({ violations: exceeded }).finish()));
      break;
    }
    case 'FAILED_PRECONDITION': {
      const unmet = violations.map(([subject, description]) => ({ type: reason, subject, description }));
      details.push(any('google.rpc.PreconditionFailure', PreconditionFailure.encode({ violations: unmet }).finish()));
      break;
    }
    default:
  }
  return details;
}

/** The first of `pairs`, cut, that take at most `bytes` together. */
function fitting(pairs: readonly (readonly [string, string])[], bytes: number): [string, string][] {
  const fit: [string, string][] = [];
  let room = bytes;
  for (const [first, second] of pairs) {
    const pair: [string, string] = [cut(first, MAX_KEY_BYTES), cut(second, MAX_TEXT_BYTES)];
    room -= Buffer.byteLength(pair[0]) + Buffer.byteLength(pair[1]) + FRAMING_BYTES;
    if (room < 0) break;
    fit.push(pair);
  }
  return fit;
}

function any(type: string, bytes: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: TYPE_PREFIX + type, value: Buffer.from(bytes) };
}

interface DecodedDetails {
  info?: ErrorInfo;
  retryAfterMs?: number;
  violations?: { field: string; description: string }[];
}

function decodeDetails(encoded: Buffer): DecodedDetails | undefined {
  try {
    return readDetails(Status.decode(encoded).details);
  } catch {
    // Details that another program wrote wrongly: the code and the message remain.
    return undefined;
  }
}

function readDetails(details: Status['details']): DecodedDetails {
  const decoded: DecodedDetails = {};
  for (const { typeUrl, value } of details) {
    switch (typeUrl) {
      case `${TYPE_PREFIX}google.rpc.ErrorInfo`:
        decoded.info = ErrorInfo.decode(value);
        break;
      case `${TYPE_PREFIX}google.rpc.RetryInfo`: {
        const delay = RetryInfo.decode(value).retryDelay;
        if (delay !== undefined) decoded.retryAfterMs = msFromDuration(delay);
        break;
      }
      case `${TYPE_PREFIX}google.rpc.BadRequest`:
        decoded.violations = BadRequest.decode(value).fieldViolations;
        break;
      case `${TYPE_PREFIX}google.rpc.QuotaFailure`:
        decoded.violations = QuotaFailure.decode(value).violations.map(({ subject, description }) => ({
          field: subject,
          description,
        }));
        break;
      case `${TYPE_PREFIX}google.rpc.PreconditionFailure`:
        decoded.violations = PreconditionFailure.decode(value).violations.map(({ subject, description }) => ({
          field: subject,
          description,
        }));
        break;
      default:
    }
  }
  return decoded;
}

/** A message that is safe in a header: bounded, no control characters. */
function printable(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  return cut(message, MAX_MESSAGE_BYTES).replace(/[\u0000-\u001f\u007f]+/g, ' ');
}

/** At most `bytes` of UTF-8. Half a surrogate pair cannot be encoded (grpc-js would throw where nobody catches it): it is replaced. */
function cut(text: string, bytes: number): string {
  const wellFormed = text.slice(0, bytes).replace(/\p{Surrogate}/gu, '\ufffd');
  const encoded = Buffer.from(wellFormed);
  if (encoded.length <= bytes && text.length <= bytes) return wellFormed;
  let end = Math.min(encoded.length, bytes - ELLIPSIS_BYTES);
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${encoded.toString('utf8', 0, end)}…`;
}

const ELLIPSIS_BYTES = 3;
