#!/usr/bin/env node
// Gets the versions of Node.js that the package is tested with and prints their binaries as JSON: {"20": "/…/node", …}.
//
//   node scripts/install-nodes.mjs
//
// From the npm registry, which has the official binaries as packages `node-<platform>-<arch>`. Everything lands in .tools, which
// git ignores; a second run finds it there.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { logAs, run } from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';

/** The oldest that Troupe runs on, the lines with long-term support, and one that is too old. */
const VERSIONS = { 18: '18.20.8', 20: '20.19.0', 22: '22.23.3', 24: '24.21.0' };
const log = logAs('install-nodes');
const windows = process.platform === 'win32';

const nodes = {};
for (const [line, version] of Object.entries(VERSIONS)) {
  try {
    nodes[line] = installed(version);
  } catch (error) {
    log(`could not get Node.js ${version}: ${String(error.stderr || error.message).trim()}`);
    process.exit(1);
  }
}
process.stdout.write(`${JSON.stringify(nodes)}\n`);

function installed(version) {
  const name = `node-${windows ? 'win' : process.platform}-${process.arch}`;
  const home = join(ROOT, '.tools', 'nodes', version);
  const binary = join(home, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node');
  if (!existsSync(binary)) {
    log(`installing ${name} ${version}`);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), '{"private":true}\n');
    // Through a shell, because npm is a .cmd file on Windows.
    run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', `${name}@${version}`], {
      cwd: home,
      shell: windows,
    });
  }
  const says = run(binary, ['--version']).trim();
  if (says !== `v${version}`) throw new Error(`${binary} says that it is ${says}`);
  return binary;
}
