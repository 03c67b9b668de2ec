import { describe, expect, test } from '@jest/globals';
import { EXTRA_SUITES, suitesOf } from '../../../scripts/lib/suites.mjs';

describe('the suites that the arguments pick', () => {
  const all = Object.keys(EXTRA_SUITES).map((suite) => `<rootDir>/test/${suite}/`);

  test.each([
    ['nothing', [], ['etcd'], all],
    ['an option alone', ['--ci'], ['etcd'], all],
    ['unit tests', ['test/unit'], ['etcd'], all],
    ['tests of the command', ['test/e2e/dev.test.ts', '-t', 'agents'], ['etcd'], all],
    [
      'clients in other languages',
      ['test/conformance'],
      ['etcd', 'go', 'grpcurl', 'python'],
      all.filter((path) => !path.includes('conformance')),
    ],
    ['an extra suite', ['test/package'], [], all.filter((path) => !path.includes('package'))],
    ['a file of one', ['test/package/install.test.ts'], [], all.filter((path) => !path.includes('package'))],
    ['both kinds', ['test/unit', 'test/package/'], ['etcd'], all.filter((path) => !path.includes('package'))],
  ])('%s', (_, args, needs, ignored) => {
    const picked = suitesOf(args);
    expect([...picked.needs].sort()).toEqual(needs);
    expect(picked.ignored).toEqual(ignored);
  });
});
