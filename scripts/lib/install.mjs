// What the scripts that get tools have in common.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

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

function lastLine(error) {
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

export function runs(command, args) {
  try {
    run(command, args);
    return true;
  } catch {
    return false;
  }
}

/** What `work` makes of an empty folder, which is then removed. */
export function inScratch(work) {
  const scratch = mkdtempSync(join(tmpdir(), 'troupe-install-'));
  try {
    return work(scratch);
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

/** Runs apt-get; where that fails, once more with new lists of packages, for who may get those. */
export function aptGet(args, options, log) {
  try {
    run('apt-get', args, options);
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    log('updating the package lists');
    run('apt-get', ['update']);
    run('apt-get', args, options);
  }
}
