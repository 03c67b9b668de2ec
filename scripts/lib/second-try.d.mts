interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
}

interface Report {
  readonly testResults: readonly FileResult[];
  readonly flaky?: readonly string[];
}

export function worthASecondTry(report: Report): string[];
export function secondArguments(args: readonly string[], files: readonly string[], outputFile: string): string[];
export function merged(
  first: Report,
  second: Report,
): Report & { readonly success: boolean; readonly numPassedTests: number; readonly numFailedTests: number };
