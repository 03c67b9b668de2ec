/** More files than this are no matter of chance. */
const MAX_FILES = 3;

/** Of a report of `jest --json`: the test files that are worth a second try; none where too many failed. */
export function worthASecondTry({ testResults }) {
  const failed = testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
  return failed.length <= MAX_FILES ? failed : [];
}

/** Jest's arguments for that: the same, but these files alone, one after the other, with a report of their own. */
export function secondArguments(args, files, outputFile) {
  const kept = args.filter((arg) => !/^(test\/|test$|--maxWorkers=|--outputFile=)/.test(arg));
  return [...kept, '--maxWorkers=1', `--outputFile=${outputFile}`, '--runTestsByPath', ...files];
}

/** The first report with what the second one says of its files. `flaky`: what failed at first and passed then. */
export function merged(first, second) {
  const again = new Map(second.testResults.map((result) => [result.name, result]));
  const testResults = first.testResults.map((result) => again.get(result.name) ?? result);
  const count = (status) => testResults.flatMap((result) => result.assertionResults).filter((test) => test.status === status);
  const flaky = first.testResults
    .filter(({ name, status }) => status === 'failed' && again.get(name)?.status === 'passed')
    .flatMap(({ name, assertionResults }) => {
      const tests = assertionResults.filter((test) => test.status === 'failed').map(({ fullName }) => fullName);
      return (tests.length === 0 ? ['the file as a whole'] : tests).map((test) => `${name}: ${test}`);
    });
  return {
    ...first,
    success: testResults.every(({ status }) => status !== 'failed'),
    numPassedTests: count('passed').length,
    numFailedTests: count('failed').length,
    testResults,
    flaky: [...(first.flaky ?? []), ...flaky],
  };
}
