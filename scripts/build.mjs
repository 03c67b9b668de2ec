// Compiles src/ and the example agents into dist/: afterwards dist/ holds what the sources give, and nothing else. Types are made
// for the package alone, by sdk.mjs.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';

const DIST = join(ROOT, 'dist');
const MAIN = join(DIST, 'src', 'app', 'main.js');
const COMMAND = join(ROOT, 'bin', 'troupe.cjs');

const startedMs = performance.now();
const compiled = compile();
if (compiled === undefined) {
  process.exitCode = 1;
} else {
  const assets = copyAssets();
  const removed = prune(new Set([...compiled, ...assets]));
  if (existsSync(MAIN)) {
    chmodSync(MAIN, 0o755);
    linkCommand();
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`dist: ${compiled.length + assets.length} files, ${removed} stale ones removed, ${seconds} s`);
}

/** The files that the compiler wrote; undefined when it found errors. */
function compile() {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [tool('tsc'), '-p', 'tsconfig.build.json', '--listEmittedFiles', '--noEmitOnError', '--pretty', 'false'],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 },
  );
  const lines = stdout.split(/\r?\n/).filter((line) => line !== '');
  const emitted = lines.filter((line) => line.startsWith('TSFILE: ')).map((line) => join(line.slice('TSFILE: '.length)));
  const messages = lines.filter((line) => !line.startsWith('TSFILE: '));
  if (messages.length > 0) console.error(messages.join('\n'));
  if (stderr !== '') console.error(stderr);
  return status === 0 ? emitted : undefined;
}

/** What src/ holds beside TypeScript (pages, styles, schemas) goes to the same place in dist/. */
function copyAssets() {
  const copied = [];
  for (const path of readdirSync(join(ROOT, 'src'), { recursive: true })) {
    const from = join(ROOT, 'src', path);
    if (/\.([cm]?ts|tsx)$/.test(path) || statSync(from).isDirectory()) continue;
    const to = join(DIST, 'src', path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to);
    copied.push(to);
  }
  return copied;
}

/** Removes every file of dist/ that is not in `wanted`, and the folders which that empties. */
function prune(wanted) {
  let removed = 0;
  // Deepest first, so that a folder comes after what is in it.
  for (const path of readdirSync(DIST, { recursive: true }).sort().reverse()) {
    const file = join(DIST, path);
    if (statSync(file).isDirectory()) {
      if (readdirSync(file).length === 0) rmdirSync(file);
    } else if (!wanted.has(file)) {
      rmSync(file);
      removed += 1;
    }
  }
  return removed;
}

/**
 * Makes `npx troupe` here run this build without asking a registry: npm links the commands of dependencies, not those of
 * the package itself. On Windows npx finds it by package.json.
 */
function linkCommand() {
  const link = tool('troupe');
  if (process.platform === 'win32') return;
  rmSync(link, { force: true });
  symlinkSync(relative(dirname(link), COMMAND), link);
}
