/** A short duration for people: `0.4 ms`, `12 ms`, `1.25 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1000) return `${trim(ms / 1000, 2)} s`;
  return `${ms < 10 ? trim(ms, 1) : Math.round(ms)} ms`;
}

function trim(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
