import { TroupeError } from 'troupe';
import { columnNamed, readTable, type TableSource } from '../tables/read-table.js';
import type { Example } from './naive-bayes.js';

/** Examples from a CSV with the columns "text" and "label"; rows without one of them are left out. @throws TroupeError */
export async function readExamples(source: TableSource, signal: AbortSignal): Promise<Example[]> {
  const table = await readTable(source, signal);
  const texts = columnNamed(table, 'text', 'payload.path').values;
  const labels = columnNamed(table, 'label', 'payload.path').values;
  return texts.map((text, row) => ({ text, label: labels[row] ?? '' })).filter(({ text, label }) => text !== '' && label !== '');
}

/** @throws TroupeError INVALID_ARGUMENT unless there are two classes with two examples each: one to learn, one to check. */
export function checkExamples(examples: readonly Example[]): void {
  const sizes = new Map<string, number>();
  for (const { label } of examples) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const small = [...sizes].find(([, size]) => size < 2);
  if (sizes.size < 2) throw refused(`have ${sizes.size} class(es); give examples of at least two`);
  if (small !== undefined) throw refused(`have one of class "${small[0]}"; give at least two of each`);
}

function refused(description: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'TOO_FEW_EXAMPLES', `the examples ${description}`);
}
