// Runs jest with an etcd: TROUPE_ETCD, or what install-etcd.mjs finds or gets. Arguments go to jest. The suites of lib/suites.mjs run only
// where a path names them, with what else they need: a grpcurl (TROUPE_GRPCURL, install-grpcurl.mjs), what programs in Python need
// (TROUPE_PYTHON_EXAMPLES, install-python.mjs), the programs in Go (TROUPE_GO_CLIENT, build-go-client.mjs), helm, kubectl and schemas (install-k8s-tools.mjs), Prometheus
// (install-prometheus.mjs). Nothing runs where one of them cannot be had. With --second-try (and --json --outputFile=…) up to three test
// files that fail are run once more, alone; what passes then is reported as flaky.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';
import { merged, secondArguments, worthASecondTry } from './lib/second-try.mjs';
import { suitesOf } from './lib/suites.mjs';

const SECOND_TRY = '--second-try';
const given = process.argv.slice(2);
const args = given.filter((arg) => arg !== SECOND_TRY);
const { needs, ignored } = suitesOf(args);
const WAYS = {
  etcd: ['TROUPE_ETCD', 'install-etcd.mjs'],
  python: ['TROUPE_PYTHON_EXAMPLES', 'install-python.mjs'],
  go: ['TROUPE_GO_CLIENT', 'build-go-client.mjs'],
  grpcurl: ['TROUPE_GRPCURL', 'install-grpcurl.mjs'],
  // Here, and not by each test file that uses them: two that install at once would spoil each other's work.
  kubernetes: ['TROUPE_K8S_TOOLS', 'install-k8s-tools.mjs'],
  prometheus: ['TROUPE_PROMETHEUS', 'install-prometheus.mjs'],
};
const brought = Object.entries(WAYS).flatMap(([what, way]) => (needs.has(what) ? [bring(...way)] : []));
if (brought.includes(undefined)) process.exitCode = 1;
else await run({ ...process.env, ...Object.fromEntries(brought) });

async function run(env) {
  const report = args.find((arg) => arg.startsWith('--outputFile='))?.slice('--outputFile='.length);
  if (report !== undefined) rmSync(report, { force: true });
  process.exitCode = await jest(args, env);
  if (process.exitCode === 0 || !given.includes(SECOND_TRY) || report === undefined) return;
  const first = read(report);
  const files = worthASecondTry(first);
  if (files.length === 0) return;
  console.error(`\nA second try, alone: ${files.map((file) => relative(ROOT, file)).join(', ')}`);
  const code = await jest(secondArguments(args, files, `${report}.again`), env);
  writeFileSync(report, JSON.stringify(merged(first, read(`${report}.again`))));
  process.exitCode = code;
}

function jest(jestArgs, env) {
  // After the arguments: the option takes every word that follows it.
  const ignore = ignored.map((pattern) => `--testPathIgnorePatterns=${pattern}`);
  const child = spawn(
    process.execPath,
    ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', tool('jest'), ...jestArgs, ...ignore],
    { cwd: ROOT, stdio: 'inherit', env },
  );
  const kill = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, kill);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, kill);
      resolve(code ?? 1);
    });
  });
}

/** A report of jest; an empty one where it did not get so far. */
function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { testResults: [] };
  }
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
