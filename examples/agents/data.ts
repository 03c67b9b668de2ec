import { setImmediate } from 'node:timers/promises';
import { type AgentTask, defineAgent, type TaskContext, TroupeError } from 'troupe';
import { z } from 'zod';
import { exactlyOne, readBody } from './input/body.js';
import { CHART_KINDS, renderChart } from './tables/chart.js';
import { type Grouping, groupRows, PERIODS, type Period } from './tables/group.js';
import { readTable, type Table } from './tables/read-table.js';
import { type ColumnSummary, summarizeColumn } from './tables/summarize.js';

const Body = z
  .strictObject({
    path: z.string().min(1).optional(),
    csv: z.string().optional(),
    group_by: z.string().optional(),
    measure: z.string().optional(),
    period: z.enum(Object.keys(PERIODS) as [Period, ...Period[]]).optional(),
    chart: z.enum(CHART_KINDS).optional(),
  })
  .refine(...exactlyOne(['path', 'csv']))
  .refine(({ measure, period, group_by }) => group_by !== undefined || (measure === undefined && period === undefined), {
    message: '"measure" and "period" need a "group_by"',
  });
type Body = z.infer<typeof Body>;

const MAX_BARS = 40;

/**
 * Statistics of a CSV, column by column; on wish rows grouped by a column, and a chart of the groups.
 *
 * Payload: `path` or `csv`; optional `group_by`, `measure`, `period`, `chart`. Streams each column's statistics.
 */
export default defineAgent({
  kind: 'data',
  description: 'Statistics, groups and charts of CSV data',
  capabilities: ['data_processing', 'analysis', 'visualization'],
  run: async (task, ctx) => {
    const body = readBody(task, Body, { path: 'examples/data/sales.csv', group_by: 'region', measure: 'revenue', chart: 'bar' });
    const kind = chartKind(body, task, ctx);
    const table = await readTable(body.path === undefined ? { csv: body.csv ?? '' } : { path: body.path }, ctx.signal);
    const columns: ColumnSummary[] = [];
    for (const column of table.columns) {
      await setImmediate();
      ctx.signal.throwIfAborted();
      const summary = summarizeColumn(column);
      columns.push(summary);
      await ctx.emit({ column: summary });
      await ctx.progress(columns.length / table.columns.length, `column ${column.name}`);
    }
    const grouping = kind !== undefined && body.group_by === undefined ? defaultGrouping(columns, kind) : groupingOf(body);
    if (grouping === undefined) return { rows: table.rows, columns };
    const groups = groupRows(table, grouping);
    const answer = { rows: table.rows, columns, group_by: grouping.by, measure: grouping.measure ?? null, groups };
    return kind === undefined ? answer : { ...answer, chart: drawGroups(table, grouping, kind) };
  },
});

/** The chart to draw, undefined for none. @throws TroupeError FAILED_PRECONDITION when one is wanted, but not offered. */
function chartKind(body: Body, task: AgentTask, ctx: TaskContext): 'bar' | 'line' | undefined {
  if (body.chart === undefined && !task.requiredCapabilities.includes('visualization')) return undefined;
  if (ctx.capabilities.includes('visualization')) return body.chart ?? 'bar';
  throw new TroupeError(
    'FAILED_PRECONDITION',
    'CAPABILITY_NOT_OFFERED',
    `agent "${ctx.agentId}" does not offer "visualization"; require that capability, or leave "chart" out`,
  );
}

function groupingOf({ group_by, measure, period }: Body): Grouping | undefined {
  return group_by === undefined ? undefined : { by: group_by, measure, period };
}

/** A line goes along the dates by month; bars stand for the first text column with few values. Both add up the last number. */
function defaultGrouping(columns: readonly ColumnSummary[], kind: 'bar' | 'line'): Grouping {
  const by = columns.find((column) =>
    kind === 'line' ? column.type === 'date' : column.type === 'text' && column.distinct > 1 && column.distinct <= MAX_BARS,
  );
  if (by === undefined) {
    const message = `payload.group_by: no column suits a ${kind} chart by itself; name the one to group by`;
    throw new TroupeError('INVALID_ARGUMENT', 'NOTHING_TO_CHART', message);
  }
  const measure = columns.findLast(({ type }) => type === 'number')?.name;
  return { by: by.name, measure, period: kind === 'line' ? 'month' : undefined };
}

function drawGroups(table: Table, { by, measure, period }: Grouping, kind: 'bar' | 'line') {
  const groups = groupRows(table, { by, measure, period });
  const shown = kind === 'bar' ? groups.slice(0, MAX_BARS) : groups;
  const yLabel = measure === undefined ? 'rows' : `sum of ${measure}`;
  const title = `${yLabel} by ${period ?? by}${shown.length < groups.length ? ` (${shown.length} of ${groups.length})` : ''}`;
  const points = shown.map(({ group, count, sum }) => ({ label: group, value: sum ?? count }));
  return { kind, title, content_type: 'image/svg+xml', svg: renderChart({ kind, title, xLabel: by, yLabel, points }) };
}
