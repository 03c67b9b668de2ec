import type { Duration } from '../../src/gen/google/protobuf/duration.js';

/** Infinity for none. */
export function toMs(duration: Duration | undefined): number {
  return duration === undefined ? Number.POSITIVE_INFINITY : Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}
