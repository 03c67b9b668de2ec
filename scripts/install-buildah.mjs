#!/usr/bin/env node
// Gets what the tests of the image need where it is not there, and prints where it is; what it does goes to standard error.
//
//   node scripts/install-buildah.mjs     {"buildah":"/usr/bin/buildah","runc":"/usr/sbin/runc",…}
//
// buildah builds images without a daemon, runc runs containers of them, ip gives each a network, and debootstrap makes a base image
// where no image registry can be reached. From the PATH, else Debian's or Ubuntu's packages, which takes root: all of them use
// namespaces and mounts, so a copy in .tools would not do without it.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptInstall, lastLine, logAs } from './lib/install.mjs';

const log = logAs('install-buildah');

/** By command: its package. */
const TOOLS = { buildah: 'buildah', runc: 'runc', ip: 'iproute2', debootstrap: 'debootstrap' };

try {
  const missing = Object.keys(TOOLS).filter((tool) => find(tool) === undefined);
  if (missing.length > 0) install(missing.map((tool) => TOOLS[tool]));
  process.stdout.write(`${JSON.stringify(Object.fromEntries(Object.keys(TOOLS).map((tool) => [tool, found(tool)])))}\n`);
} catch (error) {
  log(`could not get ${Object.keys(TOOLS).join(', ')}: ${lastLine(error)}`);
  log(`Run this as root, or have them on the PATH (Debian, Ubuntu: apt-get install ${Object.values(TOOLS).join(' ')}).`);
  process.exitCode = 1;
}

function install(packages) {
  if (process.getuid?.() !== 0) throw new Error(`${packages.join(', ')} are not there, and only root installs packages`);
  aptInstall(packages, log);
}

function found(tool) {
  const path = find(tool);
  if (path === undefined) throw new Error(`${tool} is not on the PATH after its package was installed`);
  return path;
}

function find(tool) {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
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
