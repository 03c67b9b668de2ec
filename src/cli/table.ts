import type { Colour, Paint } from './colours.js';
import { printable } from './printable.js';

export interface Column<Row> {
  readonly heading: string;
  readonly cell: (row: Row) => string | number;
  readonly colour?: (row: Row) => Colour | undefined;
}

/** Rows under headings, as wide as they need, two spaces between; an empty cell is `-`. Ends with a newline. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const cells = rows.map((row) => columns.map(({ cell }) => printable(String(cell(row))) || '-'));
  const widths = columns.map(({ heading }, index) =>
    cells.reduce((width, row) => Math.max(width, row[index]?.length ?? 0), heading.length),
  );
  const line = (texts: readonly string[], colours: readonly (Colour | undefined)[]) =>
    texts
      .map((text, index) => {
        const isLast = index === texts.length - 1;
        const colour = colours[index];
        const painted = colour === undefined ? text : paint(colour, text);
        // Padded outside of the colour, which has no width.
        return isLast ? painted : painted + ' '.repeat((widths[index] ?? 0) - text.length);
      })
      .join('  ');
  const headings = columns.map(({ heading }) => heading);
  const lines = rows.map((row, index) =>
    line(
      cells[index] ?? [],
      columns.map(({ colour }) => colour?.(row)),
    ),
  );
  return `${[line(headings, []), ...lines].join('\n')}\n`;
}
