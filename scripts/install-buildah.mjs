#!/usr/bin/env node
// Gets what the tests of the image need where it is not there, and prints it as JSON; what it does goes to standard error.
//
//   node scripts/install-buildah.mjs     {"buildah": "/usr/bin/buildah", "crun": "/usr/bin/crun"}
//
// buildah builds images without a daemon, crun runs a container of one. From the PATH, else Debian's or Ubuntu's packages, which
// takes root: both use namespaces and mounts, so there is no copy of them in .tools that would do without.
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const TOOLS = ['buildah', 'crun'];

try {
  const missing = TOOLS.filter((tool) => find(tool) === undefined);
  if (missing.length > 0) install(missing);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(TOOLS.map((tool) => [tool, found(tool)])))}\n`);
} catch (error) {
  const why = String(error.stderr || error.message).trim();
  log(`could not get ${TOOLS.join(' and ')}: ${why.split('\n').at(-1)}`);
  log('Install them so that they are on the PATH (Debian, Ubuntu: apt-get install buildah crun), or run this as root.');
  process.exitCode = 1;
}

function install(packages) {
  if (process.getuid?.() !== 0) throw new Error(`${packages.join(', ')} not on the PATH, and only root installs packages`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const get = () => run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...packages], { env });
  log(`installing ${packages.join(', ')}`);
  try {
    get();
  } catch {
    log('updating the package lists');
    run('apt-get', ['update']);
    get();
  }
}

function found(tool) {
  const path = find(tool);
  if (path === undefined) throw new Error(`${tool} is not on the PATH after its package was installed`);
  return path;
}

function find(tool) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, tool))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function run(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 2 ** 20, ...options });
}

function log(text) {
  process.stderr.write(`install-buildah: ${text}\n`);
}
