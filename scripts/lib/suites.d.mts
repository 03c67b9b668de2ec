export const EXTRA_SUITES: Record<string, string[]>;
export function suitesOf(args: readonly string[]): { needs: Set<string>; ignored: string[] };
