// Results as a file for programs and a table for people.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cores } from './machine.mjs';

const RESULTS = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'results');

/** Writes `results/<name>.json`: what was measured, and enough to judge it by. No names of machines or paths. */
export function writeResult(name, result) {
  mkdirSync(RESULTS, { recursive: true });
  const record = { name, date: new Date().toISOString(), node: process.version, cores: cores(), ...result };
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Prints rows (arrays of text) in columns under `head`: the first to the left, numbers to the right. */
export function printTable(title, head, rows) {
  const all = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ');
  console.log(`\n${title}`);
  for (const row of all) console.log(`  ${line(row)}`);
}

/** Prints whether each target was met. A bench never fails for its figures: machines differ. */
export function printTargets(targets) {
  for (const { what, target, got, met } of targets)
    console.log(`  ${met ? 'met   ' : 'MISSED'}  ${what}: ${got} (target ${target})`);
}

/** What is going on, on standard error. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}
