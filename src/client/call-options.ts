import { deadlineExceeded } from '../core/errors.js';
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
