/** A table of Markdown, its columns as wide as they need. Cells are Markdown; a `|` in them is escaped. */
export function table(headings, rows) {
  const cells = [headings, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = headings.map((_, index) => Math.max(3, ...cells.map((row) => row[index].length)));
  const line = (row) => `| ${row.map((cell, index) => cell.padEnd(widths[index])).join(' | ')} |`;
  const [head, ...body] = cells;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join('\n');
}

/** Text as Markdown: nothing in it is markup. A `_` within a word is none. */
export const plain = (text) => text.replace(/[\\<*`]/g, '\\$&');

export const code = (text) => `\`${text}\``;

/** A block of text that nobody is meant to run. */
export const block = (text) => `\`\`\`text\n${text}\n\`\`\``;
