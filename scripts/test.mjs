// Runs jest with an etcd: TROUPE_ETCD, or what install-etcd.mjs finds or gets. Arguments go to jest. The suites of lib/suites.mjs run only
// where a path names them, with what else they need: a grpcurl (TROUPE_GRPCURL, install-grpcurl.mjs), what programs in Python need
// (TROUPE_PYTHON_EXAMPLES, install-python.mjs), the programs in Go (TROUPE_GO_CLIENT, build-go-client.mjs). Nothing runs where one of them cannot be had.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';
import { suitesOf } from './lib/suites.mjs';

const args = process.argv.slice(2);
const { needs, ignored } = suitesOf(args);
const WAYS = {
  etcd: ['TROUPE_ETCD', 'install-etcd.mjs'],
  python: ['TROUPE_PYTHON_EXAMPLES', 'install-python.mjs'],
  go: ['TROUPE_GO_CLIENT', 'build-go-client.mjs'],
  grpcurl: ['TROUPE_GRPCURL', 'install-grpcurl.mjs'],
};
const brought = Object.entries(WAYS).flatMap(([what, way]) => (needs.has(what) ? [bring(...way)] : []));
if (brought.includes(undefined)) process.exitCode = 1;
else runJest({ ...process.env, ...Object.fromEntries(brought) });

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

/** The variable, and what it says, or what the script finds or gets: it prints the path, and on standard error what it does. */
function bring(variable, script) {
  if (process.env[variable]) return [variable, process.env[variable]];
  const { status, stdout } = spawnSync(process.execPath, [join('scripts', script)], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return status === 0 ? [variable, stdout.trim()] : undefined;
}
