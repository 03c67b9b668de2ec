import { describe, expect, it } from '@jest/globals';
import data from '../../../examples/agents/data.js';
import type { ColumnSummary } from '../../../examples/agents/tables/summarize.js';
import { activate, jsonOf } from '../../support/agent-context.js';

interface Answer {
  readonly rows: number;
  readonly columns: readonly ColumnSummary[];
  readonly groups?: readonly {
    readonly group: string;
    readonly count: number;
    readonly sum?: number;
    readonly mean?: number | null;
  }[];
  readonly chart?: { readonly kind: string; readonly title: string; readonly content_type: string; readonly svg: string };
}

const CSV = ['city,temp,day', 'Bonn,2,2025-01-01', 'Oslo,4,2025-01-02', 'Bonn,4,2025-02-01', 'Bonn,4,2025-02-02'].join('\n');
const MORE = `${CSV}\n"Rome, old",5,2025-02-03\nOslo,5,2025-02-04\n,7,2025-02-05\nBonn,9,2025-03-01\nOslo,NA,2025-03-02\n`;

async function ask(payload: object, require = ['data_processing']) {
  const run = await activate(data);
  return jsonOf<Answer>((await run({ payload: { ...payload }, require })).result);
}

function column(answer: Answer, name: string) {
  return answer.columns.find((one) => one.name === name);
}

describe('the data agent', () => {
  it('gives the statistics of numbers', async () => {
    // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squared deviations 32; quartiles as numpy.quantile gives them.
    expect(column(await ask({ csv: MORE }), 'temp')).toEqual({
      ...{ name: 'temp', type: 'number', count: 8, missing: 1, min: 2, q1: 4, median: 4.5, q3: 5.5, max: 9, mean: 5 },
      stddev: expect.closeTo(Math.sqrt(32 / 7), 9),
    });
  });

  it('counts the values of text and the span of dates', async () => {
    const answer = await ask({ csv: MORE });
    expect(answer.rows).toBe(9);
    expect(column(answer, 'city')).toEqual({
      ...{ name: 'city', type: 'text', count: 8, missing: 1, distinct: 3 },
      top: [
        { value: 'Bonn', count: 4 },
        { value: 'Oslo', count: 3 },
        { value: 'Rome, old', count: 1 },
      ],
    });
    expect(column(answer, 'day')).toMatchObject({ type: 'date', earliest: '2025-01-01', latest: '2025-03-02', distinct: 9 });
    expect(answer.groups).toBeUndefined();
    expect(answer.chart).toBeUndefined();
  });

  it('adds up groups, largest first, and leaves missing values out of the mean', async () => {
    const { groups } = await ask({ csv: MORE, group_by: 'city', measure: 'temp' });
    expect(groups).toEqual([
      { group: 'Bonn', count: 4, sum: 19, mean: 4.75 },
      { group: 'Oslo', count: 3, sum: 9, mean: 4.5 },
      { group: '(missing)', count: 1, sum: 7, mean: 7 },
      { group: 'Rome, old', count: 1, sum: 5, mean: 5 },
    ]);
  });

  it('groups dates by month, in order of time', async () => {
    const { groups } = await ask({ csv: MORE, group_by: 'day', period: 'month' });
    expect(groups).toEqual([
      { group: '2025-01', count: 2 },
      { group: '2025-02', count: 5 },
      { group: '2025-03', count: 2 },
    ]);
  });

  it('answers the demonstration call with statistics of the whole file', async () => {
    const answer = await ask({ path: 'examples/data/sales.csv' });
    const { readFile } = await import('node:fs/promises');
    const cells = (await readFile('examples/data/sales.csv', 'utf8')).trim().split('\n').slice(1);
    const revenues = cells.map((line) => line.slice(line.lastIndexOf(',') + 1)).filter((cell) => cell !== '');
    const mean = revenues.reduce((sum, cell) => sum + Number(cell), 0) / revenues.length;
    expect(answer.rows).toBe(cells.length);
    expect(column(answer, 'revenue')).toMatchObject({
      count: revenues.length,
      missing: cells.length - revenues.length,
      mean: expect.closeTo(mean, 6),
    });
    expect(answer.chart).toBeUndefined();
  });

  it('draws bars whose heights are in proportion', async () => {
    const csv = 'name,value\na,10\nb,5\nc,-5';
    const { chart } = await ask({ csv, group_by: 'name', measure: 'value', chart: 'bar' });
    const heights = [...(chart?.svg ?? '').matchAll(/<rect x="[^"]+" y="[^"]+" width="[^"]+" height="([^"]+)"/g)].map(([, h]) =>
      Number(h),
    );
    expect(chart).toMatchObject({ kind: 'bar', title: 'sum of value by name', content_type: 'image/svg+xml' });
    expect(heights).toEqual([200, 100, 100]);
  });

  it('draws a line along the months when asked for a line only', async () => {
    const { chart } = await ask({ csv: MORE, chart: 'line' });
    const points = /<polyline [^>]*points="([^"]+)"/.exec(chart?.svg ?? '')?.[1]?.split(' ') ?? [];
    expect(points).toHaveLength(3);
    expect(chart?.title).toBe('sum of temp by month');
  });

  it('draws without being asked when visualization is required', async () => {
    expect((await ask({ csv: MORE }, ['visualization'])).chart?.kind).toBe('bar');
  });

  it('escapes text in a chart, so that it stays well-formed', async () => {
    const { chart } = await ask({
      csv: 'a&b,<n>\n"<script>&\'""",1\n"]]>\u0001\ud800",2\n',
      group_by: 'a&b',
      measure: '<n>',
      chart: 'bar',
    });
    expectWellFormed(chart?.svg ?? '');
    expect(chart?.svg).toContain('&lt;script&gt;&amp;&apos;');
    expect(chart?.svg).not.toContain('<script');
  });

  it('streams each column before the answer', async () => {
    const run = await activate(data);
    const { result, emitted, progress } = await run({ payload: { csv: MORE } });
    expect(emitted.map((chunk) => jsonOf<{ column: ColumnSummary }>(chunk).column)).toEqual(jsonOf<Answer>(result).columns);
    expect(progress.at(-1)).toEqual({ fraction: 1, note: 'column day' });
  });

  it('stops when the task is cancelled', async () => {
    const controller = new AbortController();
    const run = await activate(data);
    const reason = new Error('cancelled in between');
    const onEmit = () => controller.abort(reason);
    await expect(run({ payload: { csv: MORE }, signal: controller.signal, onEmit })).rejects.toBe(reason);
  });

  it('refuses a chart when its agent does not offer visualization', async () => {
    const run = await activate(data, { capabilities: ['data_processing', 'analysis'] });
    const asked = run({ payload: { csv: MORE, chart: 'bar' }, require: ['data_processing'] });
    await expect(asked).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'CAPABILITY_NOT_OFFERED' });
  });

  it.each([
    ['nothing', {}, 'INVALID_ARGUMENT', 'INVALID_FIELD', /exactly one of "path", "csv"/],
    ['an unknown field', { csv: MORE, colour: 'red' }, 'INVALID_ARGUMENT', 'INVALID_FIELD', /colour/],
    ['no such file', { path: 'examples/data/none.csv' }, 'NOT_FOUND', 'FILE_NOT_FOUND', /none\.csv/],
    ['a folder', { path: 'examples/data' }, 'INVALID_ARGUMENT', 'NOT_A_FILE', /not a file/],
    ['a file elsewhere', { path: '/etc/hosts' }, 'INVALID_ARGUMENT', 'PATH_OUTSIDE', /working directory/],
    ['an empty CSV', { csv: '' }, 'INVALID_ARGUMENT', 'CSV_EMPTY', /empty/],
    ['a CSV of names only', { csv: 'a,b\n' }, 'INVALID_ARGUMENT', 'CSV_EMPTY', /one row of values/],
    ['rows of different lengths', { csv: 'a,b\n1,2,3' }, 'INVALID_ARGUMENT', 'CSV_MALFORMED', /line 2/],
    ['a stray quote', { csv: 'a,b\nx"y",1' }, 'INVALID_ARGUMENT', 'CSV_MALFORMED', /line 2/],
    ['an unknown column', { csv: MORE, group_by: 'town' }, 'INVALID_ARGUMENT', 'UNKNOWN_COLUMN', /city, temp, day/],
    ['a sum of text', { csv: MORE, group_by: 'day', measure: 'city' }, 'INVALID_ARGUMENT', 'NOT_A_NUMBER', /"city"/],
    ['months of text', { csv: MORE, group_by: 'city', period: 'month' }, 'INVALID_ARGUMENT', 'NOT_A_DATE', /"city"/],
    ['a chart of nothing', { csv: 'a\n1', chart: 'bar' }, 'INVALID_ARGUMENT', 'NOTHING_TO_CHART', /group_by/],
  ])('refuses %s', async (_name, payload, code, reason, message) => {
    await expect(ask(payload)).rejects.toMatchObject({
      name: 'TroupeError',
      code,
      reason,
      message: expect.stringMatching(message),
    });
  });
});

/** Every tag is closed in order, and nothing is left of markup once tags and entities are gone. */
function expectWellFormed(xml: string): void {
  const open: string[] = [];
  const rest = xml.replace(/<(\/?)([a-z]+)((?: [a-zA-Z][\w-]*="[^"<]*")*)(\/?)>/g, (_tag, close, name, _rest, empty) => {
    if (close === '/') expect(open.pop()).toBe(name);
    else if (empty !== '/') open.push(name);
    return '';
  });
  expect(open).toEqual([]);
  expect(rest.replace(/&(amp|lt|gt|quot|apos);/g, '')).not.toMatch(/[<>&\p{Cs}]/u);
}
