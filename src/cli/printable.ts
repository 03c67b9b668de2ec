/**
 * What text of others must not do to a terminal: give it commands or move its cursor (the control characters C0, DEL and C1), or turn the order in
 * which it is read (embeddings, overrides and isolates of Unicode's UAX #9).
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const UNSAFE = /\r\n|[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const KEPT: ReadonlySet<string> = new Set(['\r\n', '\n', '\t']);

/** Text that others wrote, on one line: what could act on a terminal is shown as its escape, such as `\u001b`. */
export function printable(text: string): string {
  return printableLines(text.replace(/[\t\n\r]+/g, ' '));
}

/** Text that others wrote, in lines as they are: what could act on a terminal is shown as its escape. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE, (found) => (KEPT.has(found) ? found : escaped(found)));
}

/** A value as JSON, with a newline at its end. JSON leaves DEL, C1 and turned text as they are: as escapes they mean the same. */
export function jsonLine(value: unknown, indent = 0): string {
  return `${printableLines(JSON.stringify(value, null, indent))}\n`;
}

/** As JSON would write it. */
function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
