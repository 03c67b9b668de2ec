import { defineAgent } from 'troupe';
import { z } from 'zod';
import { readBody } from './input/body.js';
import { openInput } from './input/files.js';
import { runTests, type TestResult } from './runner/run-tests.js';

const Body = z.strictObject({
  path: z.string().regex(/\.[mc]?js$/, 'must be the path of a JavaScript file (.js, .mjs or .cjs)'),
});
const MAX_BYTES = 1024 * 1024;

/**
 * Runs a test file (node:test) in a process of its own and reports each test. That some fail is an answer, not an error.
 *
 * Payload: `path`. Streams each test as it ends. At the task's deadline the tests, and all they started, are ended.
 */
export default defineAgent({
  kind: 'test',
  description: 'Runs test files of node:test',
  capabilities: ['testing', 'quality_assurance'],
  run: async (task, ctx) => {
    const { path } = readBody(task, Body, { path: 'examples/data/stack.test.mjs' });
    const input = await openInput(path, MAX_BYTES);
    await input.file.close();
    const startedMs = performance.now();
    const tests = await runTests(input.path, ctx.signal, (result) => ctx.emit({ test: result }));
    const durationMs = performance.now() - startedMs;
    const count = (status: TestResult['status']) => tests.filter((test) => test.status === status).length;
    const failed = count('failed');
    return {
      file: path,
      ok: failed === 0,
      passed: count('passed'),
      failed,
      skipped: count('skipped'),
      todo: count('todo'),
      duration_ms: Math.round(durationMs),
      tests,
    };
  },
});
