import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the Dockerfile begins from. */
export const BASE = 'docker.io/library/node:24-slim';

const NODE_MAJOR = '24';
const NPM_MAJOR = '11';
const SUITE = 'bookworm';
const PULL_TIMEOUT_MS = 60_000;

/**
 * Makes sure that there is the base image: the official one, or where no image registry can be reached one of the same make
 * (Debian by debootstrap, node and npm from the npm registry), under the official name. What it says goes to `log`.
 */
export function ensureBaseImage(buildah, cache, log) {
  if (buildah.succeeds(['inspect', '--type', 'image', BASE])) return log(`${BASE} is there`);
  log(`pulling ${BASE}`);
  if (buildah.succeeds(['pull', '--quiet', BASE], { timeout: PULL_TIMEOUT_MS })) return;
  log('no image registry can be reached: making it of packages of Debian and npm');
  const archive = join(cache, `base-${hashOf(readFileSync(new URL(import.meta.url)))}-${process.arch}.tar`);
  if (!existsSync(archive)) makeArchive(archive, log);
  const container = buildah.run(['from', 'scratch']).trim();
  buildah.run(['add', '--quiet', container, archive, '/']);
  buildah.run(['config', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', container]);
  buildah.run(['commit', '--quiet', container, BASE]);
  buildah.run(['rm', container]);
}

/** Beside, and renamed, so that a run at the same time never sees half of it. */
function makeArchive(archive, log) {
  const scratch = mkdtempSync(join(tmpdir(), 'troupe-base-'));
  try {
    const root = join(scratch, 'root');
    log(`debootstrap of ${SUITE}, which takes a minute`);
    run('debootstrap', ['--variant=minbase', SUITE, root]);
    // As the official image has it: no manuals, no lists of packages.
    for (const path of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/man', 'usr/share/locale', 'usr/share/info'])
      rmSync(join(root, path), { recursive: true, force: true });
    const node = unpack(`node-linux-${process.arch}@${NODE_MAJOR}`, scratch, log);
    run('install', ['-m', '755', join(node, 'bin', 'node'), join(root, 'usr/local/bin/node')]);
    const modules = join(root, 'usr/local/lib/node_modules');
    mkdirSync(modules, { recursive: true });
    run('cp', ['-r', unpack(`npm@${NPM_MAJOR}`, scratch, log), join(modules, 'npm')]);
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
    mkdirSync(join(archive, '..'), { recursive: true });
    run('tar', ['--create', '--numeric-owner', '--file', `${archive}.${process.pid}`, '--directory', root, '.']);
    renameSync(`${archive}.${process.pid}`, archive);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The folder of a package of npm, unpacked and not installed. */
function unpack(name, scratch, log) {
  log(`getting ${name} from the npm registry`);
  const folder = mkdtempSync(join(scratch, 'package-'));
  run('npm', ['pack', '--silent', '--pack-destination', folder, name]);
  const [file] = readdirSync(folder);
  run('tar', ['--extract', '--file', join(folder, file), '--directory', folder, '--no-same-owner']);
  return join(folder, 'package');
}

function hashOf(bytes) {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12);
}

function run(command, args) {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 64 * 2 ** 20 });
}
