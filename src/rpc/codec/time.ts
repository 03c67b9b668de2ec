import type { Duration } from '../../gen/google/protobuf/duration.js';

/** Rounded to the nanosecond. */
export function durationFromMs(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

export function msFromDuration(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
