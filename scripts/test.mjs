// Runs jest on what was built, with an etcd: TROUPE_ETCD, or the one on the PATH, or one that gets installed under .tools.
// Arguments go to jest.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';

const path = etcd();
if (path === undefined) {
  console.error('there is no etcd to test with; put one on the PATH, or name it by TROUPE_ETCD');
  process.exitCode = 1;
} else {
  runJest({ ...process.env, TROUPE_ETCD: path });
}

function runJest(env) {
  const args = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', tool('jest'), ...process.argv.slice(2)];
  const jest = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
  jest.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

function etcd() {
  return process.env.TROUPE_ETCD || onPath('etcd') || installed();
}

function onPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The script prints the path as its last line, and on standard error what it does. */
function installed() {
  const { status, stdout } = spawnSync(process.execPath, [join('scripts', 'install-etcd.mjs')], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return status === 0 ? stdout.trim().split('\n').at(-1) : undefined;
}
