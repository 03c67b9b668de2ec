// What the scripts that get tools have in common.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const DOWNLOAD_MS = 120_000;

/** Says on standard error what the script of that name does: standard output is for its answer. */
export function logAs(name) {
  return (text) => process.stderr.write(`${name}: ${text}\n`);
}

/** The answer of the first way that works. @throws Error with what each way said. */
export async function firstOf(what, ways) {
  const refusals = [];
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      refusals.push(`  ${way.name}: ${lastLine(error)}`);
    }
  }
  throw new Error([`could not get ${what}. Tried:`, ...refusals].join('\n'));
}

/** What an error comes down to: where a command failed, the last thing that it said. */
export function lastLine(error) {
  return String(error.stderr || error.message)
    .trim()
    .split('\n')
    .at(-1);
}

export function findOnPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && existsSync(path)) return path;
  }
  throw new Error('not there');
}

export function run(command, args, options = {}) {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
}

/** Whether a command runs here. */
export function runs(command, args) {
  try {
    run(command, args);
    return true;
  } catch {
    return false;
  }
}

/** What `work` makes of an empty folder, which is then removed. */
export async function inScratch(work) {
  const scratch = mkdtempSync(join(tmpdir(), 'troupe-install-'));
  try {
    return await work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Copies `from` to `to` in one step: a run at the same time never sees half of it. */
export function place(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  const beside = `${to}.${process.pid}`;
  copyFileSync(from, beside);
  renameSync(beside, to);
  return to;
}

/**
 * Prints the path of a binary: that of the first way that works. Ends the process: with 1 and `hint` where none does.
 * `versionOf` throws where a binary does not run here.
 */
export async function printFirst({ what, ways, versionOf, hint, log }) {
  try {
    const path = await firstOf(what, ways);
    log(`${path} (${versionOf(path)})`);
    process.stdout.write(`${path}\n`);
  } catch (error) {
    log(`${error.message}\n${hint}`);
    process.exitCode = 1;
  }
}

/** Unpacks an archive of a release on GitHub below `scratch`, when it has the sum that the file `sums` beside it tells. */
export async function unpackRelease({ release, file, sums }, scratch, log) {
  log(`downloading ${release}/${file}`);
  const [listed, archive] = await Promise.all([get(`${release}/${sums}`), get(`${release}/${file}`)]);
  const line = listed
    .toString('utf8')
    .split('\n')
    .find((each) => each.trim().endsWith(` ${file}`));
  const sum = createHash('sha256').update(archive).digest('hex');
  if (line?.split(/\s+/)[0] !== sum) throw new Error(`${file} does not match ${sums}`);
  writeFileSync(join(scratch, file), archive);
  if (file.endsWith('.zip')) run('unzip', ['-q', file], { cwd: scratch });
  else run('tar', ['-xzf', file], { cwd: scratch });
}

/** This machine, in the words of a release: `systems` and `machines` by Node.js' names. @throws where there is no archive for it. */
export function platformIn(systems, machines) {
  const system = systems[process.platform];
  const machine = machines[process.arch];
  if (system === undefined || machine === undefined) throw new Error(`no archive for ${process.platform} ${process.arch}`);
  return { system, machine };
}

async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS) });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** Unpacks a package of Debian or Ubuntu below `scratch`, without installing it; gives the root of what was in it. */
export function unpackDebian(name, scratch, log) {
  if (!runs('apt-get', ['--version']) || !runs('dpkg', ['--version'])) throw new Error('this is no Debian or Ubuntu');
  log(`downloading the package ${name}`);
  aptGet(['download', name], { cwd: scratch }, log);
  const archive = readdirSync(scratch).find((file) => file.endsWith('.deb'));
  const root = join(scratch, 'root');
  run('dpkg', ['-x', archive, root], { cwd: scratch });
  return root;
}

/** Installs packages of Debian or Ubuntu, which takes root. */
export function aptInstall(packages, log) {
  log(`installing ${packages.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  aptGet(['install', '--yes', '--quiet', '--no-install-recommends', ...packages], { env }, log);
}

/** Runs apt-get; where that fails, once more with new lists of packages, for who may get those. */
function aptGet(args, options, log) {
  try {
    run('apt-get', args, options);
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    log('updating the package lists');
    run('apt-get', ['update']);
    run('apt-get', args, options);
  }
}
