#!/usr/bin/env node
// Gets a nats-server where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-nats.mjs            PATH, .tools/nats, Debian's package, a Go build, the official archive
//   node scripts/install-nats.mjs --present  PATH, .tools/nats: gets nothing
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { existsSync } from 'node:fs';
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

const VERSION = 'v2.15.2';
const PACKAGE = 'github.com/nats-io/nats-server/v2';
const TIMEOUT_MS = 180_000;

const log = logAs('install-nats');
const binary = join(ROOT, '.tools', 'nats', 'bin', 'nats-server');

await printFirst({
  what: 'a nats-server',
  ways: process.argv.includes('--present') ? [onPath, present] : [onPath, present, debianPackage, goBuild, officialArchive],
  versionOf,
  hint: 'Install one (https://docs.nats.io/running-a-nats-service/introduction/installation) so that it is on the PATH.',
  log,
});

function onPath() {
  return checked(findOnPath('nats-server'));
}

function present() {
  return checked(binary);
}

function debianPackage() {
  return inScratch((scratch) => {
    const root = unpackDebian('nats-server', scratch, log);
    const found = ['bin', 'sbin'].map((folder) => join(root, 'usr', folder, 'nats-server')).find((path) => existsSync(path));
    if (found === undefined) throw new Error('the package has no nats-server');
    return install(found);
  });
}

function goBuild() {
  if (!runs('go', ['version'])) throw new Error('Go is not there');
  return inScratch((scratch) => {
    log(`building nats-server ${VERSION} with Go`);
    const env = { ...process.env, GOBIN: scratch, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-trimpath' };
    run('go', ['install', `${PACKAGE}@${VERSION}`], { cwd: scratch, env, timeout: TIMEOUT_MS });
    return install(join(scratch, 'nats-server'));
  });
}

/** @see https://github.com/nats-io/nats-server/releases */
function officialArchive() {
  const { system, machine } = platformIn({ linux: 'linux', darwin: 'darwin' }, { x64: 'amd64', arm64: 'arm64' });
  const name = `nats-server-${VERSION}-${system}-${machine}`;
  const release = `https://github.com/nats-io/nats-server/releases/download/${VERSION}`;
  return inScratch(async (scratch) => {
    await unpackRelease({ release, file: `${name}.tar.gz`, sums: 'SHA256SUMS' }, scratch, log);
    return install(join(scratch, name, 'nats-server'));
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
  return run(path, ['--version']).trim();
}
