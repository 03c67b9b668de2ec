// Runs the chaos suite, which needs no etcd, and prints the figures that its tests have reported. Arguments go to jest.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, tool } from './lib/paths.mjs';

const FIGURES = join(ROOT, 'test', 'chaos', 'figures');

rmSync(FIGURES, { recursive: true, force: true });
const args = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--no-warnings=ExperimentalWarning',
    tool('jest'),
    // One after another: they would measure each other.
    '--maxWorkers=1',
    ...(args.some((arg) => arg.startsWith('test/')) ? [] : ['test/chaos']),
    ...args,
  ],
  { cwd: ROOT, stdio: 'inherit' },
);
for (const report of reports()) print(report);
process.exitCode = status ?? 1;

function reports() {
  try {
    return readdirSync(FIGURES)
      .sort()
      .map((file) => JSON.parse(readFileSync(join(FIGURES, file), 'utf8')));
  } catch {
    return [];
  }
}

function print({ name, seed, figures }) {
  const rows = Object.entries(figures);
  const width = Math.max(...rows.map(([figure]) => figure.length));
  console.log(`\n${name} (seed ${seed})`);
  for (const [figure, value] of rows) console.log(`  ${figure.padEnd(width)}  ${value}`);
}
