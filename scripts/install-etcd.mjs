#!/usr/bin/env node
// Gets an etcd where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-etcd.mjs            PATH, .tools/etcd, Debian's package, a Go build, the official archive
//   node scripts/install-etcd.mjs --newest   an etcd 3.6 in .tools/etcd-3.6: a Go build, the official archive
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  findOnPath,
  inScratch,
  logAs,
  place,
  platformIn,
  printFirst,
  run,
  runs,
  unpackDebian,
  unpackRelease,
} from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';

const VERSION = 'v3.6.16';

const log = logAs('install-etcd');
const newest = process.argv.includes('--newest');
const binary = join(ROOT, '.tools', newest ? 'etcd-3.6' : 'etcd', 'bin', 'etcd');

await printFirst({
  what: 'an etcd',
  ways: newest ? [present, goBuild, officialArchive] : [onPath, present, debianPackage, goBuild, officialArchive],
  versionOf,
  hint: [
    'Install etcd 3.4 or newer (https://etcd.io/docs/latest/install/) so that it is on the PATH,',
    'or set TROUPE_ETCD to the path of its binary.',
  ].join('\n'),
  log,
});

function onPath() {
  return checked(findOnPath('etcd'));
}

function present() {
  return checked(binary);
}

function debianPackage() {
  return inScratch((scratch) => install(join(unpackDebian('etcd-server', scratch, log), 'usr', 'bin', 'etcd')));
}

function goBuild() {
  if (!runs('go', ['version'])) throw new Error('Go is not there');
  return inScratch((scratch) => {
    log(`building etcd ${VERSION} with Go; this takes a minute or two`);
    writeFileSync(join(scratch, 'go.mod'), 'module troupe.local/etcd\n\ngo 1.24\n');
    const env = { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' };
    run('go', ['get', `go.etcd.io/etcd/server/v3@${VERSION}`], { cwd: scratch, env });
    run('go', ['build', '-trimpath', '-o', 'etcd', 'go.etcd.io/etcd/server/v3'], { cwd: scratch, env });
    return install(join(scratch, 'etcd'));
  });
}

/** @see https://github.com/etcd-io/etcd/releases */
function officialArchive() {
  const { system, machine } = platformIn({ linux: 'linux', darwin: 'darwin' }, { x64: 'amd64', arm64: 'arm64' });
  const name = `etcd-${VERSION}-${system}-${machine}`;
  const file = `${name}.${system === 'linux' ? 'tar.gz' : 'zip'}`;
  const release = `https://github.com/etcd-io/etcd/releases/download/${VERSION}`;
  return inScratch(async (scratch) => {
    await unpackRelease({ release, file, sums: 'SHA256SUMS' }, scratch, log);
    return install(join(scratch, name, 'etcd'));
  });
}

function install(from) {
  return place(checked(from), binary);
}

function checked(path) {
  if (!existsSync(path)) throw new Error('not there');
  versionOf(path);
  return path;
}

/** @throws when it does not run here. */
function versionOf(path) {
  return run(path, ['--version']).split('\n')[0];
}
