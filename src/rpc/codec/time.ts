import type { Duration } from '../../gen/google/protobuf/duration.js';

/** Rounded to the nanosecond. */
export function durationFromMs(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  // 999.99999999 ms are a second: a Duration of 10^9 nanoseconds is invalid.
  const carry = Math.trunc(nanos / 1e9);
  return { seconds: BigInt(seconds + carry), nanos: nanos - carry * 1e9 };
}

export function msFromDuration(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
