#!/usr/bin/env node
// Gets what the examples in Python need and prints the path of an interpreter that has it; what it does goes to standard error.
//
//   node scripts/install-python.mjs
//
// A virtual environment in .tools/python with the packages of examples/python/requirements.txt, from PyPI, and the stubs that their own
// generator makes of proto/. Everything lands in .tools, which git ignores; a second run finds it there, and makes stubs anew where proto/ changed.
// It needs a Python 3.9 or newer with venv and pip: TROUPE_PYTHON, or python3 on the PATH; for root on Debian it installs that.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastLine, logAs, run } from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';
import { pythonWithPip } from './lib/python.mjs';

const log = logAs('install-python');
const HOME = join(ROOT, '.tools', 'python');
const REQUIREMENTS = join(ROOT, 'examples', 'python', 'requirements.txt');
const PROTO = join(ROOT, 'proto');
const windows = process.platform === 'win32';

try {
  const key = hashOf([readFileSync(REQUIREMENTS)]);
  const environment = join(HOME, `venv-${key}`);
  const python = join(environment, windows ? 'Scripts/python.exe' : 'bin/python');
  if (!existsSync(join(environment, 'complete'))) install(environment, python);
  const protos = readdirSync(PROTO, { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /^(troupe\/v1|google\/rpc)\/.*\.proto$/.test(path))
    .sort();
  const stubs = join(HOME, `stubs-${hashOf([key, ...protos.map((path) => readFileSync(join(PROTO, path)))])}`);
  if (!existsSync(stubs)) generate(python, protos, stubs);
  process.stdout.write(`${JSON.stringify({ python, stubs })}\n`);
} catch (error) {
  log(`could not get Python's packages: ${lastLine(error)}`);
  log('Install Python 3.9 or newer with venv, or set TROUPE_PYTHON to the path of one.');
  process.exitCode = 1;
}

function install(environment, python) {
  log(`installing the packages of ${REQUIREMENTS}`);
  rmSync(environment, { recursive: true, force: true });
  mkdirSync(HOME, { recursive: true });
  run(pythonWithPip(log), ['-m', 'venv', environment]);
  run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', REQUIREMENTS]);
  writeFileSync(join(environment, 'complete'), '');
}

/** Beside, and renamed, so that a run at the same time never sees half of it. */
function generate(python, protos, stubs) {
  log('making stubs of proto/');
  const beside = mkdtempSync(join(HOME, 'making-'));
  run(python, ['-m', 'grpc_tools.protoc', `-I${PROTO}`, `--python_out=${beside}`, `--grpc_python_out=${beside}`, ...protos]);
  try {
    renameSync(beside, stubs);
  } catch (error) {
    rmSync(beside, { recursive: true, force: true });
    if (!existsSync(stubs)) throw error;
  }
}

function hashOf(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 12);
}
