import { TroupeError } from 'troupe';
import { columnNamed, type Table } from './read-table.js';
import { columnType, rounded, sum } from './summarize.js';

export const PERIODS = { day: 10, month: 7, year: 4 } as const;
export type Period = keyof typeof PERIODS;

export interface Grouping {
  readonly by: string;
  /** A column of numbers to add up; rows are counted without it. */
  readonly measure?: string | undefined;
  /** Cuts a column of dates to days, months or years. */
  readonly period?: Period | undefined;
}

export type Group = {
  readonly group: string;
  /** Rows in the group, also those whose measure is missing. */
  readonly count: number;
  readonly sum?: number;
  /** Of the values that are there; null when there is none. */
  readonly mean?: number | null;
};

const MAX_GROUPS = 1000;
const NO_VALUE = '(missing)';

/** Groups of dates and numbers come in their order, others by size of their sum (or count). @throws TroupeError INVALID_ARGUMENT. */
export function groupRows(table: Table, { by, measure, period }: Grouping): Group[] {
  const keys = columnNamed(table, by, 'payload.group_by');
  const type = columnType(keys);
  const dates = type === 'date';
  if (period !== undefined && !dates)
    throw refused('payload.period', 'NOT_A_DATE', `"${by}" is not a column of dates; leave "period" out`);
  const measured = measure === undefined ? undefined : columnNamed(table, measure, 'payload.measure');
  if (measured !== undefined && columnType(measured) !== 'number')
    throw refused('payload.measure', 'NOT_A_NUMBER', `"${measured.name}" is not a column of numbers; choose one that is`);
  const found = new Map<string, { count: number; values: number[] }>();
  keys.values.forEach((value, row) => {
    const key = value === '' ? NO_VALUE : period === undefined ? value : value.slice(0, PERIODS[period]);
    const group = found.get(key) ?? { count: 0, values: [] };
    if (group.count === 0) found.set(key, group);
    group.count += 1;
    const amount = measured?.values[row] ?? '';
    if (amount !== '') group.values.push(Number(amount));
  });
  if (found.size > MAX_GROUPS) {
    const toDo = dates ? 'give a longer "period"' : 'choose a column with fewer values';
    throw refused('payload.group_by', 'TOO_MANY_GROUPS', `"${by}" has ${found.size} values, over ${MAX_GROUPS}; ${toDo}`);
  }
  const groups = [...found].map(([group, { count, values }]) => {
    if (measured === undefined) return { group, count };
    const total = sum(values);
    return { group, count, sum: rounded(total), mean: values.length === 0 ? null : rounded(total / values.length) };
  });
  return groups.sort(type === 'date' || type === 'number' ? byGroup : bySize);
}

function bySize(one: Group, other: Group): number {
  return (other.sum ?? other.count) - (one.sum ?? one.count) || byGroup(one, other);
}

function byGroup({ group: one }: Group, { group: other }: Group): number {
  if (one === NO_VALUE || other === NO_VALUE) return one === NO_VALUE ? 1 : -1;
  return Number(one) - Number(other) || (one < other ? -1 : 1);
}

function refused(field: string, reason: string, description: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', reason, `${field}: ${description}`, { violations: [{ field, description }] });
}
