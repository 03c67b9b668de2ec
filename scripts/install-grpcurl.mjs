#!/usr/bin/env node
// Gets a grpcurl where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-grpcurl.mjs            PATH, .tools/grpcurl, a build by a Go that is there, the official archive, a build by a Go that is got
//   node scripts/install-grpcurl.mjs --present  PATH, .tools/grpcurl: gets nothing
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from './lib/paths.mjs';

const VERSION = '1.9.3';
const PACKAGE = 'github.com/fullstorydev/grpcurl/cmd/grpcurl';
const RELEASE = `https://github.com/fullstorydev/grpcurl/releases/download/v${VERSION}`;

const binary = join(ROOT, '.tools', 'grpcurl', 'bin', 'grpcurl');
const ways = process.argv.includes('--present')
  ? [onPath, present]
  : [onPath, present, buildByPresentGo, officialArchive, buildByNewGo];

const refusals = [];
for (const way of ways) {
  try {
    const path = await way();
    log(`${path} (${versionOf(path)})`);
    process.stdout.write(`${path}\n`);
    process.exit(0);
  } catch (error) {
    refusals.push(`  ${way.name}: ${error.message.trim().split('\n').at(-1)}`);
  }
}
log(
  ['could not get a grpcurl. Tried:', ...refusals, 'Get one at https://github.com/fullstorydev/grpcurl#installation'].join('\n'),
);
process.exit(1);

function onPath() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'grpcurl');
    if (folder !== '' && existsSync(path)) {
      versionOf(path);
      return path;
    }
  }
  throw new Error('not there');
}

function present() {
  if (!existsSync(binary)) throw new Error('not there');
  versionOf(binary);
  return binary;
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
    run(go, ['install', '-ldflags', `-X main.version=v${VERSION}`, `${PACKAGE}@v${VERSION}`], { cwd: scratch, env });
    return install(join(scratch, 'grpcurl'));
  });
}

async function officialArchive() {
  const system = { linux: 'linux', darwin: 'osx' }[process.platform];
  const machine = { x64: 'x86_64', arm64: 'arm64' }[process.arch];
  if (system === undefined || machine === undefined) throw new Error(`no archive for ${process.platform} ${process.arch}`);
  const file = `grpcurl_${VERSION}_${system}_${machine}.tar.gz`;
  log(`downloading ${RELEASE}/${file}`);
  const [sums, archive] = await Promise.all([get(`${RELEASE}/grpcurl_${VERSION}_checksums.txt`), get(`${RELEASE}/${file}`)]);
  const line = sums
    .toString('utf8')
    .split('\n')
    .find((each) => each.trim().endsWith(` ${file}`));
  const sum = createHash('sha256').update(archive).digest('hex');
  if (line?.split(/\s+/)[0] !== sum) throw new Error(`${file} does not match its checksum`);
  return inScratch((scratch) => {
    writeFileSync(join(scratch, file), archive);
    run('tar', ['-xzf', file], { cwd: scratch });
    return install(join(scratch, 'grpcurl'));
  });
}

async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** Tries the binary, then puts it in its place in one step: a run at the same time never sees half of it. */
function install(from) {
  versionOf(from);
  mkdirSync(dirname(binary), { recursive: true });
  const beside = `${binary}.${process.pid}`;
  copyFileSync(from, beside);
  renameSync(beside, binary);
  return binary;
}

function inScratch(work) {
  const scratch = mkdtempSync(join(tmpdir(), 'troupe-grpcurl-'));
  try {
    return work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @throws when it does not run here. */
function versionOf(path) {
  // It prints its version on standard error.
  return run('sh', ['-c', '"$0" --version 2>&1', path]).trim();
}

function run(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 180_000, ...options });
}

function log(text) {
  process.stderr.write(`install-grpcurl: ${text}\n`);
}
