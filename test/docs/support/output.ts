/**
 * Whether what was printed is what a document shows. Left out of account are what differs from run to run (free ports, ids that are
 * made up, times, which of the nodes), how much space is between words, and what `…` stands for: anything in a line, any lines where it
 * is alone on one.
 */
export function isAsShown(shown: string, printed: string): boolean {
  const lines = normal(shown).map((line) =>
    line === '…' ? '(?:[^\n]*\n)*?' : `${line.split('…').map(escaped).join('[^\n]*')}\n`,
  );
  return new RegExp(`^${lines.join('')}$`, 'u').test(`${normal(printed).join('\n')}\n`);
}

const DIFFERING: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID'],
  [/\bclient-[a-z0-9]{12}\b/g, 'client-ID'],
  [/\bnode-\d\b/g, 'node-N'],
  // Ports that the system gives.
  [/:[3-6]\d{4}\b/g, ':PORT'],
  [/\b\d[\d.,]*(?: |)(ms|µs|s|m|h|MiB|%)(?![\w/])/g, 'N $1'],
  [/\bpid":\d+/g, 'pid":N'],
  [/\bprocess \d+/g, 'process N'],
  [/[─-]{3,}/g, '---'],
];

function normal(text: string): string[] {
  const same = DIFFERING.reduce((all, [pattern, word]) => all.replace(pattern, word), text);
  const lines = same.split('\n').map((line) => line.trimEnd().replace(/(?<=\S)\s+/g, ' '));
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
