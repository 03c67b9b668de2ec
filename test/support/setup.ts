/**
 * Runs before each test file: nothing may print on the console. Errors are thrown or logged, and a test that expects a
 * log gives its own logger. Jest fails tests on unhandled rejections; environment.mjs looks for what is left open.
 */
import { afterEach } from '@jest/globals';

const printed: string[] = [];

for (const method of ['error', 'warn', 'info', 'log', 'debug'] as const) {
  console[method] = (...values: unknown[]) => {
    printed.push(`console.${method}: ${values.map(String).join(' ')}`);
  };
}

afterEach(() => {
  if (printed.length > 0) throw new Error(`printed on the console:\n${printed.splice(0).join('\n')}`);
});
