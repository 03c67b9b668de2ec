#!/usr/bin/env node
// Gets a grpcurl where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-grpcurl.mjs            PATH, .tools/grpcurl, a build by a Go that is there, the official archive, a build by a Go that is got
//   node scripts/install-grpcurl.mjs --present  PATH, .tools/grpcurl: gets nothing
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, inScratch, logAs, place, platformIn, printFirst, run, unpackRelease } from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';

const VERSION = '1.9.3';
const PACKAGE = 'github.com/fullstorydev/grpcurl/cmd/grpcurl';
const TIMEOUT_MS = 180_000;

const log = logAs('install-grpcurl');
const binary = join(ROOT, '.tools', 'grpcurl', 'bin', 'grpcurl');

await printFirst({
  what: 'a grpcurl',
  ways: process.argv.includes('--present')
    ? [onPath, present]
    : [onPath, present, buildByPresentGo, officialArchive, buildByNewGo],
  versionOf,
  hint: 'Get one at https://github.com/fullstorydev/grpcurl#installation',
  log,
});

function onPath() {
  return checked(findOnPath('grpcurl'));
}

function present() {
  return checked(binary);
}

function buildByPresentGo() {
  return build('--present');
}

function buildByNewGo() {
  return build();
}

function build(...args) {
  const go = run(process.execPath, [join(ROOT, 'scripts', 'install-go.mjs'), ...args]).trim();
  return inScratch((scratch) => {
    log(`building grpcurl ${VERSION} with Go`);
    const env = { ...process.env, GOBIN: scratch, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-trimpath' };
    const options = { cwd: scratch, env, timeout: TIMEOUT_MS };
    run(go, ['install', '-ldflags', `-X main.version=v${VERSION}`, `${PACKAGE}@v${VERSION}`], options);
    return install(join(scratch, 'grpcurl'));
  });
}

/** @see https://github.com/fullstorydev/grpcurl/releases */
function officialArchive() {
  const { system, machine } = platformIn({ linux: 'linux', darwin: 'osx' }, { x64: 'x86_64', arm64: 'arm64' });
  const file = `grpcurl_${VERSION}_${system}_${machine}.tar.gz`;
  const release = `https://github.com/fullstorydev/grpcurl/releases/download/v${VERSION}`;
  return inScratch(async (scratch) => {
    await unpackRelease({ release, file, sums: `grpcurl_${VERSION}_checksums.txt` }, scratch, log);
    return install(join(scratch, 'grpcurl'));
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
  // It prints its version on standard error.
  return run('sh', ['-c', '"$0" --version 2>&1', path]).trim();
}
