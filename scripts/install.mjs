// Runs `npm ci --ignore-scripts`, unless node_modules already holds what package-lock.json asks for.
import '../bin/check-node.cjs';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib/paths.mjs';

if (upToDate()) {
  console.log('node_modules is up to date');
} else {
  // Through a shell, because npm is a .cmd file on Windows.
  const { status } = spawnSync('npm ci --ignore-scripts --no-audit --no-fund', { cwd: ROOT, stdio: 'inherit', shell: true });
  process.exitCode = status ?? 1;
}

/** npm writes node_modules/.package-lock.json last: it says what is really there. */
function upToDate() {
  const wanted = packagesOf('package-lock.json');
  const installed = packagesOf(join('node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const present = installed[path];
    // Packages for other platforms are optional, and absent.
    return present === undefined ? entry.optional === true : present.version === entry.version;
  });
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}
