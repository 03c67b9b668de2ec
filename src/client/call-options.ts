import { deadlineExceeded } from '../core/errors.js';
import { milliseconds } from './run-options.js';

export const DEFAULT_TIMEOUT_MS = 30_000;
/** For the answer that a deadline has passed. */
export const DEADLINE_GRACE_MS = 500;
export const PAGE_SIZE = 1000;

export interface TimedOptions {
  readonly timeoutMs?: number;
  readonly traceparent?: string | undefined;
}

/** @throws TroupeError DEADLINE_EXCEEDED, INVALID_ARGUMENT for what is no number of milliseconds. */
export function callOptions({ timeoutMs = DEFAULT_TIMEOUT_MS, traceparent }: TimedOptions) {
  // Who has no time left has none: as a deadline that has passed.
  if (timeoutMs <= 0) throw deadlineExceeded('timeoutMs: must be positive');
  return { deadlineMs: Date.now() + milliseconds('timeoutMs', timeoutMs), traceparent };
}
