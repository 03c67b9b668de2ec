// Runs jest with an etcd: TROUPE_ETCD, or what install-etcd.mjs finds or gets; and with a grpcurl where one could be had:
// TROUPE_GRPCURL, or what install-grpcurl.mjs finds or gets (tests of the command use `buf curl` beside it, or alone); and with
// what the examples in Python need, where install-python.mjs can get that (their tests are skipped where not).
// Arguments go to jest. The suites of lib/suites.mjs run only where a path names them.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';
import { suitesOf } from './lib/suites.mjs';

const args = process.argv.slice(2);
const { needs, ignored } = suitesOf(args);
const etcd = brought('etcd', 'TROUPE_ETCD', 'install-etcd.mjs');
if (needs.has('etcd') && etcd === undefined) process.exitCode = 1;
else {
  runJest({
    ...process.env,
    ...defined({
      TROUPE_ETCD: etcd,
      TROUPE_GRPCURL: brought('grpcurl', 'TROUPE_GRPCURL', 'install-grpcurl.mjs'),
      TROUPE_PYTHON_EXAMPLES: brought('python', 'TROUPE_PYTHON_EXAMPLES', 'install-python.mjs'),
    }),
  });
}

function runJest(env) {
  // After the arguments: the option takes every word that follows it.
  const ignore = ignored.map((pattern) => `--testPathIgnorePatterns=${pattern}`);
  const jest = spawn(
    process.execPath,
    ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', tool('jest'), ...args, ...ignore],
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

/** What the variable names, else what the script finds or gets: it prints the path, and on standard error what it does. */
function brought(what, variable, script) {
  if (!needs.has(what)) return undefined;
  if (process.env[variable]) return process.env[variable];
  const { status, stdout } = spawnSync(process.execPath, [join('scripts', script)], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return status === 0 ? stdout.trim() : undefined;
}

function defined(variables) {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined));
}
