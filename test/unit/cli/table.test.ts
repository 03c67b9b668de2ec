import { describe, expect, test } from '@jest/globals';
import { paintFor, plain } from '../../../src/cli/colours.js';
import { formatAge } from '../../../src/cli/format-age.js';
import { formatMs } from '../../../src/cli/format-ms.js';
import { type Column, formatTable } from '../../../src/cli/table.js';
import { CapturedIo } from './captured-io.js';

interface Row {
  readonly name: string;
  readonly size: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'NAME', cell: ({ name }) => name, colour: ({ size }) => (size > 9 ? 'red' : undefined) },
  { heading: 'SIZE', cell: ({ size }) => size },
];

describe('formatTable', () => {
  test('aligns columns two spaces apart, without spaces at the end of a line', () => {
    const rows = [
      { name: 'a', size: 1 },
      { name: 'longer-name', size: 12_345 },
    ];
    expect(formatTable(COLUMNS, rows, plain)).toBe(['NAME         SIZE', 'a            1', 'longer-name  12345', ''].join('\n'));
  });

  test('shows an empty cell as "-", and a 0 as 0', () => {
    expect(formatTable(COLUMNS, [{ name: '', size: 0 }], plain)).toBe('NAME  SIZE\n-     0\n');
  });

  test('shows control characters of what others wrote, and lines as one', () => {
    expect(formatTable(COLUMNS, [{ name: 'a\u001b[31mb\nc', size: 0 }], plain)).toBe(
      ['NAME            SIZE', 'a\\u001b[31mb c  0', ''].join('\n'),
    );
  });

  test('colours do not move the columns', () => {
    const paint = paintFor(new CapturedIo({ isTTY: true }), 'stdout');
    const table = formatTable(COLUMNS, [{ name: 'ab', size: 10 }], paint);
    expect(table).toBe('NAME  SIZE\n\u001b[31mab\u001b[39m    10\n');
  });
});

describe('paintFor', () => {
  test('paints on a terminal only', () => {
    expect(paintFor(new CapturedIo(), 'stdout')('red', 'x')).toBe('x');
    expect(paintFor(new CapturedIo({ isTTY: true }), 'stdout')('red', 'x')).toBe('\u001b[31mx\u001b[39m');
  });

  test('does not paint where NO_COLOR is set to anything', () => {
    expect(paintFor(new CapturedIo({ isTTY: true, env: { NO_COLOR: '1' } }), 'stdout')('red', 'x')).toBe('x');
    expect(paintFor(new CapturedIo({ isTTY: true, env: { NO_COLOR: '' } }), 'stdout')('red', 'x')).not.toBe('x');
  });

  test('asks for each stream whether it is a terminal', () => {
    const io = Object.assign(new CapturedIo({ isTTY: true }), { errorIsTTY: false });
    expect(paintFor(io, 'stderr')('red', 'x')).toBe('x');
  });
});

test.each([
  [undefined, '-'],
  [-5_000, '0s'],
  [0, '0s'],
  [12_900, '12s'],
  [60_000, '1m'],
  [3_599_000, '59m'],
  [3_600_000, '1h'],
  [47 * 3_600_000, '47h'],
  [48 * 3_600_000, '2d'],
])('an age of %s ms is %s', (ageMs, text) => {
  const nowMs = Date.UTC(2026, 0, 9);
  expect(formatAge(ageMs === undefined ? undefined : new Date(nowMs - ageMs), nowMs)).toBe(text);
});

test.each([
  [0, '0 ms'],
  [0.42, '0.4 ms'],
  [9.04, '9 ms'],
  [12.4, '12 ms'],
  [999, '999 ms'],
  [1250, '1.25 s'],
  [60_000, '60 s'],
])('%s ms are written as %s', (ms, text) => {
  expect(formatMs(ms)).toBe(text);
});
