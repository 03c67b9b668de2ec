/** The codes of gRPC that Troupe uses, by name. */
export type ErrorCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

/** A wrong field of a request: its path as in the contract, and what to do about it. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ErrorDetails {
  /** Facts for programs; keys in lowerCamelCase or lower_snake_case. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly violations?: readonly FieldViolation[] | undefined;
  /** Trying again earlier is useless. Kept to 0 to 1 h. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The one error type inside Troupe, and what a user of the SDK catches. `code` is the gRPC status, `reason` the
 * machine-readable cause (UPPER_SNAKE, google.rpc.ErrorInfo in domain `troupe.dev`).
 */
export class TroupeError extends Error {
  override readonly name = 'TroupeError';
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: ErrorCode,
    readonly reason: string,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = boundedDelay(details.retryAfterMs);
  }
}

const MAX_RETRY_AFTER_MS = 3_600_000;

/** 0 to 1 h; undefined for what is no number: an author's arithmetic must not be what fails. */
function boundedDelay(ms: number | undefined): number | undefined {
  if (ms === undefined || Number.isNaN(ms)) return undefined;
  return Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
}

export function isTroupeError(error: unknown, reason?: string): error is TroupeError {
  return error instanceof TroupeError && (reason === undefined || error.reason === reason);
}

/** The gRPC code that callers see of what was thrown: INTERNAL where it is not ours. */
export function codeOf(error: unknown): ErrorCode {
  return isTroupeError(error) ? error.code : 'INTERNAL';
}

/** The same error, knowing more. */
export function withMetadata(error: TroupeError, metadata: Readonly<Record<string, string>>): TroupeError {
  const { code, reason, message, violations, retryAfterMs, cause } = error;
  return new TroupeError(code, reason, message, {
    metadata: { ...error.metadata, ...metadata },
    violations,
    retryAfterMs,
    cause,
  });
}

/** INVALID_ARGUMENT that names the field and says what to do. */
export function invalidArgument(field: string, description: string): TroupeError {
  return invalidFields([{ field, description }]);
}

export function invalidFields(violations: readonly FieldViolation[]): TroupeError {
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new TroupeError('INVALID_ARGUMENT', 'INVALID_FIELD', message, { violations });
}

/** The text of whatever was thrown. Never throws. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'something that has no text was thrown';
  }
}

/** The reason of an aborted signal as an error: itself when it is one of ours, CANCELLED otherwise. */
export function abortError(signal: AbortSignal): TroupeError {
  const reason: unknown = signal.reason;
  if (reason instanceof TroupeError) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') return deadlineExceeded();
  return new TroupeError('CANCELLED', 'CANCELLED', 'the call was cancelled', { cause: reason });
}

export function deadlineExceeded(message = 'the deadline passed'): TroupeError {
  return new TroupeError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', message);
}
