// Makes a release of what is on main: `make release VERSION=1.2.3`. Sets the version everywhere, writes the descriptor of the contracts,
// commits and tags. It publishes nothing: it says how. docs/releases.md has the rules.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { breaking, newestRelease, RELEASES, writeDescriptor } from './lib/contracts.mjs';
import { ROOT } from './lib/paths.mjs';
import { changesOf, isNewer, setVersion } from './lib/versions.mjs';

const version = process.argv[2] ?? '';
try {
  check();
  const descriptor = join(RELEASES, `v${version}.binpb`);
  const changed = setVersion(version);
  writeDescriptor(descriptor);
  git('add', '--', ...changed, relative(ROOT, descriptor));
  git('commit', '--quiet', '--allow-empty', '--message', `Release ${version}`);
  git('tag', '--annotate', `v${version}`, '--message', `Troupe ${version}`);
  console.log(`v${version} is committed and tagged: ${[...changed, relative(ROOT, descriptor)].join(', ')}
To publish it:
  git push --follow-tags                             and the workflow publishes the package (by hand: npm publish --no-provenance)
  make image                                         the image: tag it for your registry, then docker push
  helm package k8s/chart                             the chart, then helm push`);
} catch (error) {
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}

/** @throws what stands in the way. Nothing has been changed then. */
function check() {
  if (!/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.test(version))
    throw new Error(`VERSION=${version}: must be a version such as 1.2.3 (make release VERSION=1.2.3)`);
  const branch = git('branch', '--show-current');
  if (branch !== 'main') throw new Error(`this is the branch "${branch}"; releases are made of main`);
  const dirty = git('status', '--porcelain');
  if (dirty !== '') throw new Error(`there are changes that are not committed:\n${dirty}`);
  const tags = git('tag', '--list', 'v*')
    .split('\n')
    .filter((tag) => /^v\d+\.\d+\.\d+$/.test(tag));
  const newest = tags.map((tag) => tag.slice(1)).reduce((a, b) => (isNewer(b, a) ? b : a), '0.0.0');
  if (!isNewer(version, newest)) throw new Error(`VERSION=${version}: must be newer than ${newest}, the newest that is tagged`);
  changesOf(version, readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'));
  const descriptor = newestRelease();
  const broken = descriptor === undefined ? [] : breaking(descriptor);
  if (broken.length > 0) throw new Error(`the contracts break ${relative(ROOT, descriptor)}:\n${broken.join('\n')}`);
}

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args[0]}: ${stderr.trim()}`);
  return stdout.trim();
}
