import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { type ErrorCode, messageOf, TroupeError } from '../core/errors.js';
import { BadRequest, ErrorInfo, PreconditionFailure, QuotaFailure, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { durationFromMs, msFromDuration } from './codec/time.js';

/** The only place where errors become gRPC statuses, and gRPC statuses become errors (AIP-193). */

const DOMAIN = 'troupe.dev';
const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/';
/** Of a message that travels in a header. */
const MAX_MESSAGE_CHARS = 2048;

/** What a client gets for `error`: ours with its details, everything else an opaque INTERNAL. */
export function toStatusObject(error: unknown): StatusObject {
  const known =
    error instanceof TroupeError
      ? error
      : new TroupeError('INTERNAL', 'INTERNAL', 'internal error; the log of the process that answered says more');
  const code = status[known.code];
  const message = printable(known.message);
  const metadata = new Metadata();
  const details = Buffer.from(Status.encode({ code, message, details: encodeDetails(known) }).finish());
  metadata.set(DETAILS_KEY, details);
  return { code, details: message, metadata };
}

/** The error that a call ended with. */
export function fromServiceError(error: unknown): TroupeError {
  if (error instanceof TroupeError) return error;
  if (!isStatus(error)) return new TroupeError('UNKNOWN', 'UNKNOWN', messageOf(error), { cause: error });
  const code = (status[error.code] ?? 'UNKNOWN') as ErrorCode;
  const encoded = error.metadata?.get(DETAILS_KEY)[0];
  if (encoded instanceof Buffer) {
    const decoded = decodeDetails(encoded);
    if (decoded !== undefined) {
      const { info, ...details } = decoded;
      return new TroupeError(code, info?.reason || code, error.details, {
        ...details,
        metadata: info === undefined ? {} : Object.fromEntries(info.metadata),
      });
    }
  }
  return new TroupeError(code, code, error.details, { cause: error });
}

function isStatus(error: unknown): error is Pick<ServiceError, 'code' | 'details'> & Partial<Pick<ServiceError, 'metadata'>> {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

function encodeDetails(error: TroupeError): { typeUrl: string; value: Buffer }[] {
  const details = [
    any(
      'google.rpc.ErrorInfo',
      ErrorInfo.encode({ reason: error.reason, domain: DOMAIN, metadata: new Map(Object.entries(error.metadata)) }).finish(),
    ),
  ];
  if (error.retryAfterMs !== undefined) {
    details.push(any('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay: durationFromMs(error.retryAfterMs) }).finish()));
  }
  if (error.violations.length === 0) return details;
  switch (error.code) {
    case 'INVALID_ARGUMENT':
      details.push(any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations: [...error.violations] }).finish()));
      break;
    case 'RESOURCE_EXHAUSTED':
      details.push(
        any(
          'google.rpc.QuotaFailure',
          QuotaFailure.encode({
            violations: error.violations.map(({ field, description }) => ({ subject: field, description })),
          }).finish(),
        ),
      );
      break;
    case 'FAILED_PRECONDITION':
      details.push(
        any(
          'google.rpc.PreconditionFailure',
          PreconditionFailure.encode({
            violations: error.violations.map(({ field, description }) => ({ type: error.reason, subject: field, description })),
          }).finish(),
        ),
      );
      break;
    default:
  }
  return details;
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
    const decoded: DecodedDetails = {};
    for (const { typeUrl, value } of Status.decode(encoded).details) {
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
  } catch {
    // Details that another program wrote wrongly: the code and the message remain.
    return undefined;
  }
}

/** A message that is safe in a header: bounded, no control characters. */
function printable(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  return message.slice(0, MAX_MESSAGE_CHARS).replace(/[\u0000-\u001f\u007f]+/g, ' ');
}
