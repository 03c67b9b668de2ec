import { execFileSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import type { TestResult } from '../../../examples/agents/runner/run-tests.js';
import testAgent from '../../../examples/agents/test.js';
import { activate, jsonOf } from '../../support/agent-context.js';
import { eventually } from '../../support/eventually.js';

interface Report {
  readonly ok: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly todo: number;
  readonly duration_ms: number;
  readonly tests: readonly TestResult[];
}

const FIXTURES = 'test/unit/examples/fixtures';

async function ask(path: string) {
  const run = await activate(testAgent);
  return jsonOf<Report>((await run({ payload: { path }, require: ['testing'] })).result);
}

/** Whether a process runs; one that ended, but was not waited for by its parent, does not. */
function isRunning(pid: number): boolean {
  try {
    return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).startsWith('Z');
  } catch {
    return false;
  }
}

describe('the test agent', () => {
  it('reports the tests of a file by their full names', async () => {
    const report = await ask('examples/data/stack.test.mjs');
    expect(report).toMatchObject({ ok: true, passed: 6, failed: 0, skipped: 0, todo: 0 });
    expect(report.tests.map(({ name }) => name)).toEqual([
      'Stack > gives back the last item first',
      'Stack > shows its top without taking it',
      'Stack > has no top when empty',
      'Stack > with a capacity > refuses an item over it',
      'Stack > with a capacity > must be at least 1',
      'an empty stack has nothing to pop',
    ]);
    expect(report.tests.every(({ status, duration_ms }) => status === 'passed' && duration_ms > 0)).toBe(true);
  });

  it('reports a failure as an answer, with its message and stack', async () => {
    const report = await ask('examples/data/failing.test.mjs');
    expect(report).toMatchObject({ ok: false, passed: 1, failed: 1 });
    const error = report.tests.find(({ status }) => status === 'failed')?.error;
    expect(error?.message).toContain("'second'");
    expect(error?.stack).toContain('failing.test.mjs:14');
  });

  it('tells skipped, todo, nested and hook failures apart, and ignores what tests print', async () => {
    const report = await ask(`${FIXTURES}/all-kinds.mjs`);
    const status = Object.fromEntries(report.tests.map((test) => [test.name, test.status]));
    expect(status).toEqual({
      'parent > child': 'passed',
      parent: 'passed',
      'broken hook > never runs': 'failed',
      'broken hook': 'failed',
      skipped: 'skipped',
      later: 'todo',
      long: 'failed',
      'throws a string': 'failed',
    });
    const message = (name: string) => report.tests.find((test) => test.name === name)?.error?.message;
    expect(message('broken hook')).toContain('hook says no');
    expect(message('throws a string')).toContain('only text');
    expect(message('long')?.length).toBe(4096);
  });

  it('reports a file that cannot be loaded as failed, with what it said', async () => {
    const report = await ask(`${FIXTURES}/cannot-load.mjs`);
    expect(report).toMatchObject({ ok: false, passed: 0, failed: 1 });
    expect(report.tests[0]?.error?.message).toContain('cannot even load');
  });

  it('streams tests as they end, and ends all processes when the deadline passes', async () => {
    const controller = new AbortController();
    const reason = new Error('the deadline passed');
    const names: string[] = [];
    const run = await activate(testAgent);
    const asked = run({
      payload: { path: `${FIXTURES}/never-ends.mjs` },
      signal: controller.signal,
      onEmit: (chunk) => {
        names.push(jsonOf<{ test: TestResult }>(chunk).test.name);
        if (names.length === 2) controller.abort(reason);
      },
    });
    await expect(asked).rejects.toBe(reason);
    const pids = names.map((name) => Number(name.split(' ')[1]));
    expect(pids).toHaveLength(2);
    await eventually(() => expect(pids.filter(isRunning)).toEqual([]));
  });

  it.each([
    ['nothing', {}, 'INVALID_ARGUMENT', 'INVALID_FIELD'],
    ['what is not JavaScript', { path: 'examples/data/sales.csv' }, 'INVALID_ARGUMENT', 'INVALID_FIELD'],
    ['no such file', { path: 'examples/data/none.test.mjs' }, 'NOT_FOUND', 'FILE_NOT_FOUND'],
    ['a file without tests', { path: 'examples/data/stack.mjs' }, 'INVALID_ARGUMENT', 'NO_TESTS'],
  ])('refuses %s', async (_name, payload, code, reason) => {
    const run = await activate(testAgent);
    await expect(run({ payload: { ...payload } })).rejects.toMatchObject({ name: 'TroupeError', code, reason });
  });
});
