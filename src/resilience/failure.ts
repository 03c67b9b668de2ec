import type { ErrorCode, TroupeError } from '../core/errors.js';

/** What the end of a call says of whoever was called. */
export type Blame = 'succeeded' | 'failed' | 'nothing';

/**
 * A deadline that passes speaks against the one that was called only where it had at least this long: a caller in a hurry must not
 * open anybody's circuit.
 */
export const FAIR_CHANCE_MS = 1_000;

/**
 * What each code says. Those that name a fault of the callee are failures; those by which it tells its caller something are answers,
 * so it works. UNIMPLEMENTED is an answer too: it holds for one kind of call and for ever, so a pause cures nothing, and a
 * circuit would take the calls that are implemented with it. A refusal for want of room and a caller that went away say nothing;
 * a deadline says what `blameOf` makes of it.
 */
const BLAMES: Readonly<Record<ErrorCode, Blame>> = {
  UNKNOWN: 'failed',
  INTERNAL: 'failed',
  UNAVAILABLE: 'failed',
  DATA_LOSS: 'failed',
  INVALID_ARGUMENT: 'succeeded',
  NOT_FOUND: 'succeeded',
  ALREADY_EXISTS: 'succeeded',
  PERMISSION_DENIED: 'succeeded',
  UNAUTHENTICATED: 'succeeded',
  FAILED_PRECONDITION: 'succeeded',
  OUT_OF_RANGE: 'succeeded',
  ABORTED: 'succeeded',
  UNIMPLEMENTED: 'succeeded',
  RESOURCE_EXHAUSTED: 'nothing',
  CANCELLED: 'nothing',
  DEADLINE_EXCEEDED: 'nothing',
};

/** Whether the error itself says that whoever gave it is in trouble. A deadline does not: see `blameOf`. */
export function isFailure(error: TroupeError): boolean {
  return BLAMES[error.code] === 'failed';
}

/** What a call that ended in `error` says of a callee that had `hadMs` for it. */
export function blameOf(error: TroupeError, hadMs: number): Blame {
  if (error.code === 'DEADLINE_EXCEEDED') return hadMs >= FAIR_CHANCE_MS ? 'failed' : 'nothing';
  return BLAMES[error.code];
}
