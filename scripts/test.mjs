// Runs jest with an etcd: TROUPE_ETCD, or what install-etcd.mjs finds or gets; and with a grpcurl where one could be had:
// TROUPE_GRPCURL, or what install-grpcurl.mjs finds or gets (tests of the command use `buf curl` beside it, or alone); and with
// what the examples in Python need, where install-python.mjs can get that (their tests are skipped where not).
// Arguments go to jest.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';

const args = process.argv.slice(2);
const etcd = process.env.TROUPE_ETCD || installed('install-etcd.mjs');
if (etcd === undefined) process.exitCode = 1;
else {
  const grpcurl = process.env.TROUPE_GRPCURL || (runsCommand() ? installed('install-grpcurl.mjs') : undefined);
  const python = process.env.TROUPE_PYTHON_EXAMPLES || (runsCommand() ? installed('install-python.mjs') : undefined);
  runJest({
    ...process.env,
    TROUPE_ETCD: etcd,
    ...(grpcurl === undefined ? {} : { TROUPE_GRPCURL: grpcurl }),
    ...(python === undefined ? {} : { TROUPE_PYTHON_EXAMPLES: python }),
  });
}

function runJest(env) {
  const jest = spawn(
    process.execPath,
    ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', tool('jest'), ...args],
    {
      cwd: ROOT,
      stdio: 'inherit',
      env,
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
  jest.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

/** Whether the tests of the command are among those that run. */
function runsCommand() {
  const paths = args.filter((arg) => arg.startsWith('test/'));
  return paths.length === 0 || paths.some((path) => path.startsWith('test/e2e'));
}

/** The script finds one or gets one; it prints the path, and on standard error what it does. */
function installed(script) {
  const { status, stdout } = spawnSync(process.execPath, [join('scripts', script)], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return status === 0 ? stdout.trim() : undefined;
}
