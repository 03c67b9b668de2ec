import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.mjs';

export const IMAGE = 'troupe/troupe';

/** What a build of the Dockerfile is told about the sources: version, revision, where they are, and the time of the commit. */
export function buildArguments() {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const commit = git('rev-parse', 'HEAD');
  const values = {
    VERSION: manifest.version,
    REVISION: commit === undefined ? 'unknown' : `${commit}${git('status', '--porcelain') === '' ? '' : '-dirty'}`,
    SOURCE: (manifest.repository?.url ?? '').replace(/^git\+/, '').replace(/\.git$/, ''),
    SOURCE_DATE_EPOCH: git('log', '-1', '--format=%ct') ?? '0',
  };
  return { values, flags: Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]) };
}

/** What git says; undefined without git, or outside of a repository. */
function git(...args) {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
