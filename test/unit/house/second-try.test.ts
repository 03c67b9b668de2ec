import { describe, expect, it } from '@jest/globals';
import { merged, secondArguments, worthASecondTry } from '../../../scripts/lib/second-try.mjs';

const file = (name: string, ...tests: ('passed' | 'failed')[]) => ({
  name,
  status: tests.includes('failed') || tests.length === 0 ? 'failed' : 'passed',
  assertionResults: tests.map((status, i) => ({ status, fullName: `test ${i}` })),
});
const report = (...testResults: ReturnType<typeof file>[]) => ({ testResults });

describe('a second try', () => {
  it('is for files that failed, also outside of their tests, where they are few', () => {
    expect(worthASecondTry(report(file('a', 'passed'), file('b', 'passed', 'failed'), file('c')))).toEqual(['b', 'c']);
    expect(worthASecondTry(report(...['a', 'b', 'c', 'd'].map((name) => file(name, 'failed'))))).toEqual([]);
    expect(worthASecondTry(report())).toEqual([]);
  });

  it('runs them alone, with the rest of the arguments', () => {
    const args = ['--ci', 'test/docs', '--maxWorkers=2', '--json', '--outputFile=one.json', '--testTimeout=9'];
    expect(secondArguments(args, ['/x/a.test.ts'], 'two.json')).toEqual([
      ...['--ci', '--json', '--testTimeout=9', '--maxWorkers=1', '--outputFile=two.json', '--runTestsByPath', '/x/a.test.ts'],
    ]);
  });

  it('counts each test once, as it was last, and names what passed only then', () => {
    const first = report(file('a', 'passed'), file('b', 'passed', 'failed'), file('c'), file('d', 'failed'));
    const second = report(file('b', 'passed', 'passed'), file('c', 'passed'), file('d', 'failed'));
    expect(merged(first, second)).toMatchObject({
      ...{ success: false, numPassedTests: 4, numFailedTests: 1 },
      flaky: ['b: test 1', 'c: the file as a whole'],
    });
  });

  it('leaves a failure what it is where the second try did not get as far as a report', () => {
    expect(merged(report(file('a', 'failed')), report())).toMatchObject({ success: false, numFailedTests: 1, flaky: [] });
  });
});
