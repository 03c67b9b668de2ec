/** How long ago, in the largest unit that says something: `12s`, `3m`, `5h`, `2d`; `-` when not known. */
export function formatAge(since: Date | undefined, nowMs: number): string {
  if (since === undefined) return '-';
  // Clocks of other machines may be ahead of ours.
  const seconds = Math.max(0, Math.floor((nowMs - since.getTime()) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
