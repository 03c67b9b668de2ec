import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from '@jest/globals';
import { changesOf, isNewer, versions } from '../../../scripts/lib/versions.mjs';

const changelog = (heading: string, body = '### Added\n\n- This.') =>
  `# Changelog\n\n## [Unreleased]\n\n${heading}\n\n${body}\n\n## [0.1.0] - 2026-01-31\n\n### Fixed\n`;

describe('the version', () => {
  it('is the same everywhere', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const places = versions();
    expect(places.filter((place) => place.version !== version)).toEqual([]);
    expect(places.filter(({ file }) => file.startsWith('package')).length).toBe(3);
  });

  test.each([
    ['1.0.0', '0.9.9', true],
    ['0.10.0', '0.9.0', true],
    ['0.1.10', '0.1.9', true],
    ['0.1.0', '0.1.0', false],
    ['0.9.9', '1.0.0', false],
  ])('%s is newer than %s: %s', (a, b, newer) => {
    expect(isNewer(a, b)).toBe(newer);
  });
});

describe('the entry of a version in the changelog', () => {
  it('goes to the next one', () => {
    expect(changesOf('0.2.0', changelog('## [0.2.0] - 2026-02-28'))).toBe('### Added\n\n- This.');
    expect(changesOf('0.1.0', changelog('## [0.2.0] - 2026-02-28'))).toBe('### Fixed');
  });

  test.each([
    ['is missing', changelog('## [0.3.0] - 2026-02-28'), 'has no entry "## [0.2.0] - YYYY-MM-DD"'],
    ['has no date', changelog('## [0.2.0]'), '"## [0.2.0]" must be "## [0.2.0] - YYYY-MM-DD"'],
    ['has a date that is none', changelog('## [0.2.0] - 2026-13-41'), 'must be "## [0.2.0] - YYYY-MM-DD"'],
    ['says nothing', changelog('## [0.2.0] - 2026-02-28', 'Soon.'), 'the entry of 0.2.0 names no kind of change'],
  ])('is refused when it %s', (_, text, why) => {
    expect(() => changesOf('0.2.0', text)).toThrow(why);
  });
});
