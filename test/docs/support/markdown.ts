/** What the tests of the documentation see of a Markdown file: fenced blocks, the notes to the tests, the paragraphs between. */

export type Element = Fence | Note | Paragraph;

export interface Fence {
  readonly kind: 'fence';
  /** The first line of what is in it, from 1. */
  readonly line: number;
  /** `sh`, `console`, `js`…; empty for output. */
  readonly language: string;
  readonly text: string;
}

/** `<!-- test: what: detail -->`, which readers do not see. */
export interface Note {
  readonly kind: 'note';
  readonly line: number;
  readonly what: string;
  readonly detail: string;
}

export interface Paragraph {
  readonly kind: 'paragraph';
  readonly line: number;
  readonly text: string;
}

const NOTE = /^<!-- test: ([a-z ]+?)(?:: (.*))? -->$/;

/** @throws when a fence is not closed, or a note to the tests is not one line by itself. */
export function elementsOf(markdown: string): Element[] {
  const lines = markdown.split('\n');
  const elements: Element[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const start = at;
    const first = lines[at] ?? '';
    if (first.trim() === '') continue;
    const fence = /^( *)```(\S*)/.exec(first);
    if (fence !== null) {
      const [, indent = '', language = ''] = fence;
      at = lines.findIndex((line, index) => index > start && line.trimEnd() === `${indent}\`\`\``);
      if (at < 0) throw new Error(`line ${start + 1}: the block does not end`);
      const text = lines.slice(start + 1, at).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
      elements.push({ kind: 'fence', line: start + 2, language, text: text.join('\n') });
    } else if (first.startsWith('<!-- test:')) {
      const [, what, detail = ''] = NOTE.exec(first) ?? [];
      if (what === undefined) throw new Error(`line ${start + 1}: not a note to the tests: ${first}`);
      elements.push({ kind: 'note', line: start + 1, what, detail });
    } else {
      while (at + 1 < lines.length && !/^\s*$|^ *```|^<!--/.test(lines[at + 1] ?? '')) at += 1;
      elements.push({ kind: 'paragraph', line: start + 1, text: lines.slice(start, at + 1).join('\n') });
    }
  }
  return elements;
}

/** The anchors of its headings, as GitHub makes them. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text } of proseOf(markdown)) {
    for (const line of text.split('\n')) {
      const heading = /^#{1,6} (.*)$/.exec(line)?.[1];
      if (heading === undefined) continue;
      const base = heading
        .toLowerCase()
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .trim()
        .replace(/ /g, '-');
      let anchor = base;
      for (let again = 1; anchors.has(anchor); again += 1) anchor = `${base}-${again}`;
      anchors.add(anchor);
    }
  }
  return anchors;
}

/** What links and images point at, with the line of each. */
export function linksOf(markdown: string): { readonly line: number; readonly target: string }[] {
  return proseOf(markdown).flatMap(({ line, text }) =>
    text.split('\n').flatMap((each, index) => {
      const outsideOfCode = each.replace(/`[^`]*`/g, (code) => ' '.repeat(code.length));
      return [...outsideOfCode.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ line: line + index, target }));
    }),
  );
}

/** `code` in the text. */
export function codeSpansOf(markdown: string): { readonly line: number; readonly code: string }[] {
  return proseOf(markdown).flatMap(({ line, text }) =>
    [...text.matchAll(/`([^`]+)`/g)].map(({ 1: code = '', index }) => ({
      line: line + text.slice(0, index).split('\n').length - 1,
      code: code.replace(/\s+/g, ' '),
    })),
  );
}

function proseOf(markdown: string): Paragraph[] {
  return elementsOf(markdown).filter((element) => element.kind === 'paragraph');
}
