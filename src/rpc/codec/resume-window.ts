import { invalidArgument } from '../../core/errors.js';
import type { Duration } from '../../gen/google/protobuf/duration.js';
import { msFromDuration } from './time.js';

/** How long a stream may go on without a reader. */
export const MAX_RESUME_WINDOW_MS = 300_000;

/** 0 when not given. @throws INVALID_ARGUMENT naming `resume_window`. */
export function resumeWindowMs(window: Duration | undefined): number {
  if (window === undefined) return 0;
  const ms = msFromDuration(window);
  if (!(ms >= 0 && ms <= MAX_RESUME_WINDOW_MS))
    throw invalidArgument('resume_window', `must be 0 to ${MAX_RESUME_WINDOW_MS / 1000} s`);
  return ms;
}
