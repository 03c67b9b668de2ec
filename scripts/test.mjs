// Runs jest with an etcd: TROUPE_ETCD, or what install-etcd.mjs finds or gets.
// Arguments go to jest.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';

const path = etcd();
if (path === undefined) process.exitCode = 1;
else runJest({ ...process.env, TROUPE_ETCD: path });

function runJest(env) {
  const args = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', tool('jest'), ...process.argv.slice(2)];
  const jest = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
  jest.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

/** The script finds one or gets one; it prints the path, and on standard error what it does. */
function etcd() {
  if (process.env.TROUPE_ETCD) return process.env.TROUPE_ETCD;
  const { status, stdout } = spawnSync(process.execPath, [join('scripts', 'install-etcd.mjs')], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return status === 0 ? stdout.trim() : undefined;
}
