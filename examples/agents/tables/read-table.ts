import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TroupeError } from 'troupe';
import { openInput } from '../input/files.js';
import { installed } from '../input/installed.js';

export interface Column {
  readonly name: string;
  /** One a row, trimmed; "" where it is missing. */
  readonly values: readonly string[];
}

export interface Table {
  readonly rows: number;
  readonly columns: readonly Column[];
}

export type TableSource = { readonly path: string } | { readonly csv: string };

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_COLUMNS = 256;
const MAX_ROWS = 1_000_000;
const CHUNK_CHARS = 64 * 1024;
const MISSING = new Set(['', 'NA', 'N/A', 'NaN', 'null', 'NULL']);

/**
 * Reads a CSV (RFC 4180) whose first row names the columns. It is read in pieces, so that a large one does not hold up the
 * node. @throws TroupeError INVALID_ARGUMENT when it is malformed, empty or over 16 MiB, 256 columns or 1,000,000 rows.
 */
export async function readTable(source: TableSource, signal: AbortSignal): Promise<Table> {
  const { parse, CsvError } = await installed('csv-parse', () => import('csv-parse'));
  const input =
    'path' in source ? (await openInput(source.path, MAX_BYTES)).file.createReadStream() : Readable.from(chunks(source.csv));
  const parser = parse({ bom: true, trim: true, skip_empty_lines: true, max_record_size: 1024 * 1024 });
  try {
    return await pipeline(input, parser, collect, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CsvError) throw refused('CSV_MALFORMED', `is malformed: ${error.message}; correct that line`);
    throw error;
  }
}

/** @throws TroupeError INVALID_ARGUMENT naming the columns that there are. */
export function columnNamed(table: Table, name: string, field: string): Column {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  const description = `there is no column "${name}"; choose one of ${table.columns.map((one) => one.name).join(', ')}`;
  throw new TroupeError('INVALID_ARGUMENT', 'UNKNOWN_COLUMN', `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

function* chunks(text: string): Generator<string> {
  if (text.length > MAX_BYTES) throw refused('CSV_TOO_LARGE', `has ${text.length} characters; at most ${MAX_BYTES} are allowed`);
  for (let at = 0; at < text.length; at += CHUNK_CHARS) yield text.slice(at, at + CHUNK_CHARS);
}

async function collect(records: AsyncIterable<string[]>): Promise<Table> {
  let columns: { name: string; values: string[] }[] | undefined;
  let rows = 0;
  for await (const record of records) {
    if (columns === undefined) {
      columns = header(record);
      continue;
    }
    rows += 1;
    if (rows > MAX_ROWS) throw refused('CSV_TOO_LARGE', `has more than ${MAX_ROWS} rows; send a part of it`);
    columns.forEach(({ values }, index) => {
      const value = record[index] ?? '';
      values.push(MISSING.has(value) ? '' : value);
    });
  }
  if (columns === undefined || rows === 0)
    throw refused('CSV_EMPTY', 'is empty; send a row of column names and at least one row of values');
  return { rows, columns };
}

function header(names: readonly string[]): { name: string; values: string[] }[] {
  if (names.length > MAX_COLUMNS)
    throw refused('CSV_TOO_LARGE', `has ${names.length} columns; at most ${MAX_COLUMNS} are allowed`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw refused('CSV_MALFORMED', `names the column "${twice}" twice; give each its own name`);
  if (names.includes('')) throw refused('CSV_MALFORMED', 'has a column without a name; its first row must name every column');
  return names.map((name) => ({ name, values: [] }));
}

function refused(reason: string, description: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', reason, `the CSV ${description}`);
}
