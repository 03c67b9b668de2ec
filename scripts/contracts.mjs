// The contracts against those of the newest release in releases/.
//
//   node scripts/contracts.mjs                fails when they break those who were built with it
//   node scripts/contracts.mjs --write 1.2.3  writes the descriptor of a version (`make release` does)
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { breaking, newestRelease, RELEASES, writeDescriptor } from './lib/contracts.mjs';
import { ROOT } from './lib/paths.mjs';

const [option, version = ''] = process.argv.slice(2);
if (option === '--write') write();
else if (option === undefined) check();
else throw new Error(`${option}: --write <version> or nothing`);

function write() {
  if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`--write ${version}: must be a version such as 1.2.3`);
  const file = join(RELEASES, `v${version}.binpb`);
  mkdirSync(RELEASES, { recursive: true });
  writeDescriptor(file);
  console.log(relative(ROOT, file));
}

function check() {
  const descriptor = newestRelease();
  if (descriptor === undefined) {
    console.log('nothing is released yet');
    return;
  }
  const found = breaking(descriptor);
  console.log(found.length === 0 ? `nothing breaks ${relative(ROOT, descriptor)}` : found.join('\n'));
  if (found.length > 0) process.exitCode = 1;
}
