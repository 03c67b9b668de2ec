import type { TestEvent } from 'node:test/reporters';

/** What the reporter says of one event; long texts are cut. `start` comes before the tests within, `pass` and `fail` after. */
export type ReportLine =
  | { readonly type: 'start'; readonly name: string; readonly nesting: number }
  | {
      readonly type: 'pass' | 'fail';
      readonly name: string;
      readonly nesting: number;
      readonly suite: boolean;
      readonly skipped: boolean;
      readonly todo: boolean;
      readonly durationMs: number;
      readonly line?: number | undefined;
      readonly failure?: string | undefined;
      readonly message?: string | undefined;
      readonly stack?: string | undefined;
    }
  | { readonly type: 'stderr'; readonly message: string };

/**
 * A reporter for `node --test` (Node.js 20 and later): one JSON object a line, as events happen. It runs in the child, as the
 * text of this function: it must use nothing from outside itself.
 */
/* istanbul ignore next: counters for coverage would be such an outside thing */
export async function* reportLines(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const cut = (value: unknown) => (typeof value === 'string' ? value.slice(0, 4096) : undefined);
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      yield `${JSON.stringify({ type: 'start', name: cut(data.name), nesting: data.nesting })}\n`;
    } else if (type === 'test:stderr') {
      yield `${JSON.stringify({ type: 'stderr', message: cut(data.message) })}\n`;
    } else if (type === 'test:pass' || type === 'test:fail') {
      const error = type === 'test:fail' ? data.details.error : undefined;
      const cause: { message?: unknown; stack?: unknown } = Object(error?.cause);
      const line = {
        type: type === 'test:pass' ? 'pass' : 'fail',
        name: cut(data.name),
        nesting: data.nesting,
        suite: data.details.type === 'suite',
        skipped: data.skip !== undefined && data.skip !== false,
        todo: data.todo !== undefined && data.todo !== false,
        durationMs: data.details.duration_ms,
        line: data.line,
        failure: error === undefined ? undefined : cut(Object(error).failureType),
        message: cut(cause.message) ?? cut(error?.message),
        stack: cut(cause.stack),
      };
      yield `${JSON.stringify(line)}\n`;
    }
  }
}

/** The reporter as a module that `--test-reporter` can load, wherever this file was compiled to. */
export function reporterUrl(): string {
  return `data:text/javascript,${encodeURIComponent(`export default ${reportLines.toString()}`)}`;
}
