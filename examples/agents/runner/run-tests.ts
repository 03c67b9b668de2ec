import { dirname, resolve } from 'node:path';
import { TroupeError } from 'troupe';
import { runNode } from '../input/child.js';
import { type ReportLine, reporterUrl } from './reporter.js';

export type TestResult = {
  /** With the names of the suites and tests around it, joined by " > ". */
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped' | 'todo';
  readonly duration_ms: number;
  readonly line?: number;
  readonly error?: { readonly message: string; readonly stack?: string };
};

const MAX_TESTS = 10_000;
const STDERR_CHARS = 4096;

/**
 * Runs the test file at the absolute path `file` with `node --test`, and calls `onTest` with each test as it ends. Suites are
 * no tests, unless they fail themselves (a hook threw). When `signal` aborts, the tests end at once.
 *
 * @throws TroupeError INVALID_ARGUMENT when the file has no test, or over 10,000.
 */
export async function runTests(
  file: string,
  signal: AbortSignal,
  onTest: (result: TestResult) => Promise<void>,
): Promise<TestResult[]> {
  const results: TestResult[] = [];
  const names: string[] = [];
  let stderr = '';
  const onLine = async (text: string) => {
    const event = JSON.parse(text) as ReportLine;
    if (event.type === 'stderr') {
      stderr = (stderr + event.message).slice(-STDERR_CHARS);
      return;
    }
    names.splice(event.nesting, Number.POSITIVE_INFINITY, event.name);
    if (event.type === 'start') return;
    const whole = event.nesting === 0 && resolve(dirname(file), event.name) === file;
    const onlyContains = event.suite && (event.type === 'pass' || event.failure === 'subtestsFailed');
    if (onlyContains || (whole && event.type === 'pass')) return;
    if (results.length === MAX_TESTS) throw refused('TOO_MANY_TESTS', `has over ${MAX_TESTS} tests; split it`);
    const result = testResult(event, whole ? '(the file itself)' : names.join(' > '), whole ? stderr : '');
    results.push(result);
    await onTest(result);
  };
  const args = ['--test', `--test-reporter=${reporterUrl()}`, '--test-reporter-destination=stdout', file];
  const exit = await runNode({ args, cwd: dirname(file), signal, onLine });
  if (results.length > 0) return results;
  if (exit.exitCode === 0) throw refused('NO_TESTS', 'has no tests; write some with test() of node:test');
  throw new TroupeError('INTERNAL', 'TEST_RUNNER_FAILED', `node --test ended with exit code ${exit.exitCode}: ${exit.stderr}`);
}

function testResult(event: Extract<ReportLine, { type: 'pass' | 'fail' }>, name: string, stderr: string): TestResult {
  const status = event.skipped ? 'skipped' : event.todo ? 'todo' : event.type === 'pass' ? 'passed' : 'failed';
  const result = {
    name,
    status,
    duration_ms: Number(event.durationMs.toFixed(3)),
    ...(event.line === undefined ? {} : { line: event.line }),
  } as const;
  if (event.type === 'pass') return result;
  const message = [event.message ?? 'failed', stderr.trim()].filter((part) => part !== '').join('\n');
  return { ...result, error: event.stack === undefined ? { message } : { message, stack: event.stack } };
}

function refused(reason: string, description: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', reason, `payload.path: the test file ${description}`);
}
