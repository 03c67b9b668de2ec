import { deadlineExceeded, isTroupeError, TroupeError } from '../core/errors.js';
import { type TraceOptions, traceWithin } from '../telemetry/trace-headers.js';
import { milliseconds } from './run-options.js';

export const DEFAULT_TIMEOUT_MS = 30_000;
/** For the answer that a deadline has passed. */
export const DEADLINE_GRACE_MS = 500;
export const PAGE_SIZE = 1000;

export interface TimedOptions extends TraceOptions {
  readonly timeoutMs?: number;
}

/** @throws TroupeError DEADLINE_EXCEEDED, INVALID_ARGUMENT for what is no number of milliseconds. */
export function callOptions(options: TimedOptions) {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  // Who has no time left has none: as a deadline that has passed.
  if (timeoutMs <= 0) throw deadlineExceeded('timeoutMs: must be positive');
  return { deadlineMs: Date.now() + milliseconds('timeoutMs', timeoutMs), trace: traceWithin(options, undefined) };
}

/** What is said of a deadline by transports, and by whoever knows no more than that it passed. */
const BARE = /^(Deadline exceeded( after [\d.]+s)?|the deadline passed( without an answer)?)$/;

/** An error that says no more than that the deadline passed tells what had not happened by then: `missing`. Others are as they were. */
export function late(error: unknown, missing: string, { timeoutMs = DEFAULT_TIMEOUT_MS }: TimedOptions): unknown {
  if (!isTroupeError(error, 'DEADLINE_EXCEEDED') || !BARE.test(error.message)) return error;
  const { code, reason, metadata } = error;
  return new TroupeError(code, reason, `${missing} within ${timeoutMs} ms`, { metadata, cause: error });
}
