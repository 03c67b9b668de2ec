// The few numbers that all benches need.
import { build } from 'hdr-histogram-js';

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `50%` of a list of numbers. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

/** The median, and between what it lies with 95 % (by the sign test): [low, median, high]. */
export function medianWithin(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const at = (index) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(index)))];
  return [at(sorted.length / 2 - reach), median(sorted), at(sorted.length / 2 + reach - 1)];
}

/** Latencies in microseconds, 1 µs to 60 s, three digits. */
export function latencies() {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
}

/** p50 and p99 in milliseconds of a histogram in microseconds. */
export function summary(histogram) {
  return { p50Ms: histogram.getValueAtPercentile(50) / 1000, p99Ms: histogram.getValueAtPercentile(99) / 1000 };
}

export function round(value, digits = 3) {
  return Number(value.toPrecision(digits));
}
