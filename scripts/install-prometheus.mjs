#!/usr/bin/env node
// Gets a Prometheus and its promtool where there are none and prints {"prometheus": path, "promtool": path}; what it does goes to
// standard error.
//
//   node scripts/install-prometheus.mjs     PATH, .tools/prometheus, Debian's package
//
// Everything lands in .tools, which git ignores; a second run finds it there.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, firstOf, inScratch, logAs, place, run, unpackDebian } from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';

const log = logAs('install-prometheus');
const home = join(ROOT, '.tools', 'prometheus', 'bin');

try {
  const found = await firstOf('a Prometheus', [onPath, present, debianPackage]);
  log(`${found.prometheus} (${versionOf(found.prometheus)})`);
  process.stdout.write(`${JSON.stringify(found)}\n`);
} catch (error) {
  log(
    `${error.message}\nInstall Prometheus 2.40 or newer (https://prometheus.io/download/) so that prometheus and promtool are on the PATH.`,
  );
  process.exitCode = 1;
}

function onPath() {
  return checked({ prometheus: findOnPath('prometheus'), promtool: findOnPath('promtool') });
}

function present() {
  return checked({ prometheus: join(home, 'prometheus'), promtool: join(home, 'promtool') });
}

function debianPackage() {
  return inScratch((scratch) => {
    const unpacked = join(unpackDebian('prometheus', scratch, log), 'usr', 'bin');
    checked({ prometheus: join(unpacked, 'prometheus'), promtool: join(unpacked, 'promtool') });
    return {
      prometheus: place(join(unpacked, 'prometheus'), join(home, 'prometheus')),
      promtool: place(join(unpacked, 'promtool'), join(home, 'promtool')),
    };
  });
}

/** @throws when they do not run here. */
function checked(found) {
  for (const path of Object.values(found)) {
    if (!existsSync(path)) throw new Error('not there');
    versionOf(path);
  }
  return found;
}

/** Old ones print it on standard error. */
function versionOf(path) {
  return run('sh', ['-c', '"$0" --version 2>&1', path]).split('\n')[0];
}
