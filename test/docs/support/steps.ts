import { type Element, elementsOf, type Fence } from './markdown.js';

/**
 * What a reader does who goes through a document from its beginning to its end:
 *
 * - `sh` blocks are run, and must end with 0. A block without a language right after one is what it prints.
 * - `console` blocks are commands after `$ `, each with what it prints.
 * - Roles (`npx troupe dev`, `registry`, `node`, `gateway`) run on in the background until the document ends, or `stop`.
 * - Blocks in other languages are saved as the file that the last path in the paragraph before names, which ends with a colon; where the
 *   repository has that file, the block must be the same.
 *
 * A note before a block says what is special about it:
 *
 *     test: not run: reason             it is not run, or not compared; the test has a list of those
 *     test: from here not run: reason   nothing of the rest of the document is
 *     test: fragment                    code that is part of something: read, not run; listed as well
 *     test: fails with: 4               the exit code of the command
 *     test: eventually                  it is repeated until it prints that
 *     test: background until: text      it goes on; the next step comes when it has printed that
 *     test: shown by: node talk.mjs     what the command prints that began like this and runs in the background
 *     test: stop                        Ctrl-C for all that runs in the background
 *     test: stop: npx troupe gateway    Ctrl-C for what began like this
 */
export type Step =
  | ({ readonly kind: 'run'; readonly line: number; readonly script: string; readonly prints?: string } & Expectation)
  | { readonly kind: 'start'; readonly line: number; readonly script: string; readonly until: string; readonly prints?: string }
  | { readonly kind: 'shown'; readonly line: number; readonly prefix: string; readonly prints: string }
  | { readonly kind: 'stop'; readonly line: number; readonly prefix: string }
  | { readonly kind: 'save'; readonly line: number; readonly path: string; readonly text: string }
  | { readonly kind: 'read'; readonly line: number; readonly language: string; readonly text: string }
  | { readonly kind: 'not run'; readonly line: number; readonly text: string; readonly reason: string };

interface Expectation {
  readonly exitCode: number;
  readonly repeat: boolean;
}

const ROLE = /^(npx )?troupe (dev|registry|node|gateway)\b/;
const PATH = /`([\w./-]+\.(?:mjs|js|ts|json|ya?ml|py|md))`/g;
const NOTES = new Set([
  'not run',
  'from here not run',
  'fragment',
  'fails with',
  'eventually',
  'background until',
  'shown by',
  'stop',
]);

/** @throws for a block of which it is not clear what a reader does with it. */
export function stepsOf(markdown: string): Step[] {
  const steps: Step[] = [];
  let notes = new Map<string, string>();
  let rest: string | undefined;
  const elements = elementsOf(markdown);
  elements.forEach((element, index) => {
    const before = elements[index - 1];
    switch (element.kind) {
      case 'paragraph':
        if (notes.size > 0) throw new Error(`line ${element.line}: no block after the note to the tests`);
        break;
      case 'note':
        if (!NOTES.has(element.what)) throw new Error(`line ${element.line}: the tests know no note "${element.what}"`);
        if (element.what === 'from here not run') rest = element.detail;
        else if (element.what === 'stop') steps.push({ kind: 'stop', line: element.line, prefix: element.detail });
        else notes.set(element.what, element.detail);
        break;
      case 'fence':
        if (rest !== undefined && !notes.has('not run')) notes.set('not run', rest);
        steps.push(...stepsOfFence(element, before, notes, steps));
        notes = new Map();
    }
  });
  return steps;
}

function stepsOfFence(fence: Fence, before: Element | undefined, notes: ReadonlyMap<string, string>, done: Step[]): Step[] {
  const { line, language, text } = fence;
  const reason = notes.get('not run');
  if (reason !== undefined) {
    if (reason.length < 10) throw new Error(`line ${line}: say why the block is not run`);
    return [{ kind: 'not run', line, text, reason }];
  }
  if (notes.has('fragment')) return [{ kind: 'read', line, language, text }];
  const prefix = notes.get('shown by');
  if (prefix !== undefined) return [{ kind: 'shown', line, prefix, prints: text }];
  if (language === 'sh') return [commandStep(line, text, notes)];
  if (language === 'console') return consoleSteps(line, text, notes);
  if (language !== '') return [{ kind: 'save', line, path: pathBefore(before, line), text }];
  const command = done.at(-1);
  if (before?.kind !== 'fence' || (command?.kind !== 'run' && command?.kind !== 'start')) {
    throw new Error(`line ${line}: a block without a language that is not what a command right before it prints`);
  }
  done[done.length - 1] = { ...command, prints: text };
  return [];
}

function commandStep(line: number, script: string, notes: ReadonlyMap<string, string>): Step {
  const until = notes.get('background until');
  if (until !== undefined) return { kind: 'start', line, script, until };
  if (ROLE.test(script) && !notes.has('fails with')) return { kind: 'start', line, script, until: '"event":"ready"' };
  return { kind: 'run', line, script, exitCode: Number(notes.get('fails with') ?? 0), repeat: notes.has('eventually') };
}

function consoleSteps(line: number, text: string, notes: ReadonlyMap<string, string>): Step[] {
  const steps: Step[] = [];
  for (const [index, each] of text.split('\n').entries()) {
    const last = steps.at(-1);
    if (each.startsWith('$ ')) steps.push(commandStep(line + index, each.slice(2), notes));
    else if (last?.kind === 'run' || last?.kind === 'start') {
      steps[steps.length - 1] = { ...last, prints: last.prints === undefined ? each : `${last.prints}\n${each}` };
    } else throw new Error(`line ${line + index}: what comes before the first "$ " in a console block?`);
  }
  return steps;
}

function pathBefore(before: Element | undefined, line: number): string {
  const path =
    before?.kind === 'paragraph' && before.text.endsWith(':') ? [...before.text.matchAll(PATH)].at(-1)?.[1] : undefined;
  if (path === undefined) {
    throw new Error(`line ${line}: the paragraph before the block must name the file to save it as, and end with a colon`);
  }
  return path;
}
