#!/usr/bin/env node
// Gets a nats-server where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-nats.mjs            PATH, .tools/nats, Debian's package, a Go build, the official archive
//   node scripts/install-nats.mjs --present  PATH, .tools/nats: gets nothing
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from './lib/paths.mjs';

const VERSION = 'v2.15.2';
const PACKAGE = 'github.com/nats-io/nats-server/v2';
const RELEASE = `https://github.com/nats-io/nats-server/releases/download/${VERSION}`;

const binary = join(ROOT, '.tools', 'nats', 'bin', 'nats-server');
const ways = process.argv.includes('--present') ? [onPath, present] : [onPath, present, debianPackage, goBuild, officialArchive];

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
  [
    'could not get a nats-server. Tried:',
    ...refusals,
    'Install one (https://docs.nats.io/running-a-nats-service/introduction/installation) so that it is on the PATH.',
  ].join('\n'),
);
process.exit(1);

function onPath() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'nats-server');
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

function debianPackage() {
  if (!runs('apt-get', ['--version']) || !runs('dpkg', ['--version'])) throw new Error('this is no Debian or Ubuntu');
  return inScratch((scratch) => {
    const download = () => run('apt-get', ['download', 'nats-server'], { cwd: scratch });
    log('downloading the package nats-server');
    try {
      download();
    } catch (error) {
      if (process.getuid?.() !== 0) throw error;
      log('updating the package lists');
      run('apt-get', ['update']);
      download();
    }
    const archive = readdirSync(scratch).find((name) => name.endsWith('.deb'));
    run('dpkg', ['-x', archive, 'root'], { cwd: scratch });
    const places = ['bin', 'sbin'].map((folder) => join(scratch, 'root', 'usr', folder, 'nats-server'));
    const place = places.find((path) => existsSync(path));
    if (place === undefined) throw new Error('the package has no nats-server');
    return install(place);
  });
}

function goBuild() {
  if (!runs('go', ['version'])) throw new Error('Go is not there');
  return inScratch((scratch) => {
    log(`building nats-server ${VERSION} with Go`);
    const env = { ...process.env, GOBIN: scratch, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-trimpath' };
    run('go', ['install', `${PACKAGE}@${VERSION}`], { cwd: scratch, env });
    return install(join(scratch, 'nats-server'));
  });
}

/** @see https://github.com/nats-io/nats-server/releases */
async function officialArchive() {
  const system = { linux: 'linux', darwin: 'darwin' }[process.platform];
  const machine = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  if (system === undefined || machine === undefined) throw new Error(`no archive for ${process.platform} ${process.arch}`);
  const name = `nats-server-${VERSION}-${system}-${machine}`;
  const file = `${name}.tar.gz`;
  log(`downloading ${RELEASE}/${file}`);
  const [sums, archive] = await Promise.all([get(`${RELEASE}/SHA256SUMS`), get(`${RELEASE}/${file}`)]);
  const line = sums
    .toString('utf8')
    .split('\n')
    .find((each) => each.trim().endsWith(` ${file}`));
  const sum = createHash('sha256').update(archive).digest('hex');
  if (line?.split(/\s+/)[0] !== sum) throw new Error(`${file} does not match SHA256SUMS`);
  return inScratch((scratch) => {
    writeFileSync(join(scratch, file), archive);
    run('tar', ['-xzf', file], { cwd: scratch });
    return install(join(scratch, name, 'nats-server'));
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
  const scratch = mkdtempSync(join(tmpdir(), 'troupe-nats-'));
  try {
    return work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @throws when it does not run here. */
function versionOf(path) {
  return run(path, ['--version']).trim();
}

function runs(command, args) {
  try {
    run(command, args);
    return true;
  } catch {
    return false;
  }
}

function run(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 180_000, ...options });
}

function log(text) {
  process.stderr.write(`install-nats: ${text}\n`);
}
