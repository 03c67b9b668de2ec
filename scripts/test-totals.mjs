// Prints `N passed, N failed` of files written by `jest --json`, and before it what was flaky. A test file that failed outside its tests
// counts as one.
import { readFileSync } from 'node:fs';

const all = process.argv.slice(2).map(totals);
const sum = (key) => all.reduce((so, totals) => so + totals[key], 0);
const flaky = all.flatMap((totals) => totals.flaky);
if (flaky.length > 0) console.log(`flaky, failed and then passed alone:\n${flaky.map((test) => `  ${test}\n`).join('')}`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);

function totals(file) {
  try {
    const { numPassedTests, numFailedTests, testResults, flaky = [] } = JSON.parse(readFileSync(file, 'utf8'));
    const broken = testResults.filter(
      ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    );
    return { passed: numPassedTests, failed: numFailedTests + broken.length, flaky };
  } catch {
    // The tests did not get as far as a report.
    return { passed: 0, failed: 1, flaky: [] };
  }
}
