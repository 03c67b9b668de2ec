// Prints `N passed, N failed`, the sum over files written by `jest --json`. A test file that failed outside its tests counts as one, and so does
// a file that is not there or cannot be read: its tests did not get as far as a report.
import { readFileSync } from 'node:fs';

const totals = process.argv.slice(2).map(totalsOf);
const sum = (key) => totals.reduce((all, each) => all + each[key], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);

function totalsOf(file) {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(file, 'utf8'));
    const broken = testResults.filter(
      ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    );
    return { passed: numPassedTests, failed: numFailedTests + broken.length };
  } catch {
    return { passed: 0, failed: 1 };
  }
}
