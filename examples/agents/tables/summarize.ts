import type { Column } from './read-table.js';

/** What a column holds. `count` is of the values that are there, `missing` of the rows without one. */
export type ColumnSummary = { readonly name: string; readonly count: number; readonly missing: number } & (
  | ({ readonly type: 'number' } & NumberSummary)
  | { readonly type: 'date'; readonly earliest: string; readonly latest: string; readonly distinct: number }
  | { readonly type: 'text'; readonly distinct: number; readonly top: readonly TopValue[] }
  | { readonly type: 'empty' }
);

export type NumberSummary = {
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly max: number;
  readonly mean: number;
  /** Of the sample (n - 1); 0 for a single value. */
  readonly stddev: number;
};

export type TopValue = { readonly value: string; readonly count: number };
export type ColumnType = ColumnSummary['type'];

const TOP_VALUES = 5;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DATE = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ].*)?$/;

/** A column is of numbers, or of dates (ISO 8601), when all its values are. */
export function columnType(column: Column): ColumnType {
  const present = column.values.filter((value) => value !== '');
  if (present.length === 0) return 'empty';
  if (present.every((value) => NUMBER.test(value) && Number.isFinite(Number(value)))) return 'number';
  return present.every((value) => DATE.test(value)) ? 'date' : 'text';
}

export function summarizeColumn(column: Column): ColumnSummary {
  const present = column.values.filter((value) => value !== '');
  const counted = { name: column.name, count: present.length, missing: column.values.length - present.length };
  const type = columnType(column);
  switch (type) {
    case 'number':
      return { ...counted, type, ...summarizeNumbers(present.map(Number)) };
    case 'date': {
      const sorted = present.sort();
      return { ...counted, type, earliest: sorted[0] ?? '', latest: sorted.at(-1) ?? '', distinct: new Set(sorted).size };
    }
    case 'text': {
      const top = topValues(present);
      return { ...counted, type, distinct: top.length, top: top.slice(0, TOP_VALUES) };
    }
    case 'empty':
      return { ...counted, type };
  }
}

/** Of one value at least. Quartiles by linear interpolation between order statistics (Hyndman and Fan 1996, definition 7). */
export function summarizeNumbers(values: readonly number[]): NumberSummary {
  const sorted = Float64Array.from(values).sort();
  const mean = sum(sorted) / sorted.length;
  const variance = sorted.reduce((total, value) => total + (value - mean) ** 2, 0) / Math.max(1, sorted.length - 1);
  return {
    min: quantile(sorted, 0),
    q1: rounded(quantile(sorted, 0.25)),
    median: rounded(quantile(sorted, 0.5)),
    q3: rounded(quantile(sorted, 0.75)),
    max: quantile(sorted, 1),
    mean: rounded(mean),
    stddev: rounded(Math.sqrt(variance)),
  };
}

/** Without the noise of binary fractions: 12 significant digits. */
export function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function quantile(sorted: Float64Array, fraction: number): number {
  const at = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

/** Most frequent first, then by name, so that the answer is always the same. */
function topValues(values: readonly string[]): TopValue[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((one, other) => other.count - one.count || (one.value < other.value ? -1 : 1));
}
