#!/usr/bin/env node
// Gets an etcd where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-etcd.mjs            PATH, .tools/etcd, Debian's package, a Go build, the official archive
//   node scripts/install-etcd.mjs --newest   an etcd 3.6 in .tools/etcd-3.6: a Go build, the official archive
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = 'v3.6.16';
const TOOLS = join(dirname(fileURLToPath(import.meta.url)), '..', '.tools');

const newest = process.argv.includes('--newest');
const home = join(TOOLS, newest ? 'etcd-3.6' : 'etcd');
const binary = join(home, 'bin', 'etcd');

const ways = newest ? [present, goBuild, officialArchive] : [onPath, present, debianPackage, goBuild, officialArchive];

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
    'could not get an etcd. Tried:',
    ...refusals,
    'Install etcd 3.4 or newer (https://etcd.io/docs/latest/install/) so that it is on the PATH,',
    'or set TROUPE_ETCD to the path of its binary.',
  ].join('\n'),
);
process.exit(1);

function onPath() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'etcd');
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
    const download = () => run('apt-get', ['download', 'etcd-server'], { cwd: scratch });
    log('downloading the package etcd-server');
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
    return install(join(scratch, 'root', 'usr', 'bin', 'etcd'));
  });
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
async function officialArchive() {
  const system = { linux: 'linux', darwin: 'darwin' }[process.platform];
  const machine = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  if (system === undefined || machine === undefined) throw new Error(`no archive for ${process.platform} ${process.arch}`);
  const name = `etcd-${VERSION}-${system}-${machine}`;
  const file = `${name}.${system === 'linux' ? 'tar.gz' : 'zip'}`;
  const base = `https://github.com/etcd-io/etcd/releases/download/${VERSION}`;
  log(`downloading ${base}/${file}`);
  const [sums, archive] = await Promise.all([get(`${base}/SHA256SUMS`), get(`${base}/${file}`)]);
  const line = sums
    .toString('utf8')
    .split('\n')
    .find((each) => each.trim().endsWith(` ${file}`));
  const sum = createHash('sha256').update(archive).digest('hex');
  if (line?.split(/\s+/)[0] !== sum) throw new Error(`${file} does not match SHA256SUMS`);
  return inScratch((scratch) => {
    writeFileSync(join(scratch, file), archive);
    if (system === 'linux') run('tar', ['-xzf', file], { cwd: scratch });
    else run('unzip', ['-q', file], { cwd: scratch });
    return install(join(scratch, name, 'etcd'));
  });
}

async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
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
  const scratch = mkdtempSync(join(tmpdir(), 'troupe-etcd-'));
  try {
    return work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @throws when it does not run here. */
function versionOf(path) {
  return run(path, ['--version']).split('\n')[0];
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
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
}

function log(text) {
  process.stderr.write(`install-etcd: ${text}\n`);
}
