import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './processes.js';
import { testSeed } from './seeded-random.js';

export type Figures = Readonly<Record<string, number | string>>;

/** Writes what a test has measured into `test/chaos/figures/<name>.json`; `make chaos` shows it. Names of figures tell their unit. */
export async function reportFigures(name: string, figures: Figures): Promise<void> {
  const folder = join(ROOT, 'test', 'chaos', 'figures');
  await mkdir(folder, { recursive: true });
  const rounded = Object.entries(figures).map(([figure, value]) => [figure, typeof value === 'number' ? round(value) : value]);
  const report = { name, seed: testSeed, figures: Object.fromEntries(rounded) };
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(report, undefined, 2)}\n`);
}

/** The smallest of `values` that so many in a hundred do not exceed; 0 of none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0;
}

/** In percent; 0 of none. */
export function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : (part * 100) / whole;
}

function round(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 100) / 100 : Math.round(value * 10) / 10;
}
