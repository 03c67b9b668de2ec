import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from '@jest/globals';
import { INSTRUMENTS, prometheusName } from '../../src/telemetry/instruments.js';
import { ROOT } from '../support/processes.js';
import { runTroupe } from '../support/run-command.js';
import { allDocuments, read } from './support/documents.js';
import { codeSpansOf, elementsOf } from './support/markdown.js';

/** What documents name exists, also in blocks that are not run. */

interface Named {
  readonly at: string;
  readonly code: string;
}

/** Lines of code in blocks of commands, and code between backticks. */
function codeOf(document: string): Named[] {
  const markdown = read(document);
  const lines = elementsOf(markdown).flatMap((element) =>
    element.kind === 'fence' && ['sh', 'console', 'bash'].includes(element.language)
      ? element.text.split('\n').map((code, index) => ({ at: `${document}:${element.line + index}`, code }))
      : [],
  );
  const spans = codeSpansOf(markdown).map(({ line, code }) => ({ at: `${document}:${line}`, code }));
  return [...lines, ...spans];
}

const documents = allDocuments();
const named = documents.flatMap(codeOf);

describe('commands in documents', () => {
  it('exist, with all of their options', async () => {
    const uses = named.flatMap(({ at, code }) =>
      [...code.matchAll(/(?:^(?:\$ )?|[|&] )(?:[A-Z_]+=\S+ )*(?:npx )?troupe ((?:[a-z][a-z-]*(?: |$))+)([^|#]*)/g)].map(
        ([, words = '', rest = '']) => ({
          at,
          words: words.trim().split(' '),
          flags: [...rest.matchAll(/(?:^|\s)(--[a-z][a-z-]*)/g)].map(([, flag = '']) => flag),
        }),
      ),
    );
    expect(uses.length).toBeGreaterThan(20);
    const wrong: string[] = [];
    for (const { at, words, flags } of uses) {
      const help = await helpOf(words);
      if (help === undefined) wrong.push(`${at}: troupe ${words.join(' ')}`);
      else wrong.push(...flags.filter((flag) => !help.includes(flag)).map((flag) => `${at}: troupe ${words.join(' ')} ${flag}`));
    }
    expect(wrong).toEqual([]);
  }, 120_000);

  const helps = new Map<string, Promise<string | undefined>>();

  /** Of the longest command that the words begin with; what follows are its arguments. */
  async function helpOf(words: readonly string[]): Promise<string | undefined> {
    const [first = ''] = words;
    const nested = ['scale', 'config'].includes(first) ? words.slice(0, first === 'config' ? 3 : 2) : [first];
    const key = nested.join(' ');
    const help = helps.get(key) ?? runTroupe([...nested, '--help']).then(({ code, stdout }) => (code === 0 ? stdout : undefined));
    helps.set(key, help);
    return await help;
  }
});

describe('targets of make in documents', () => {
  const targets = new Set(
    [...readFileSync(join(ROOT, 'Makefile'), 'utf8').matchAll(/^([a-z][a-z0-9-]*):/gm)].map(([, target]) => target),
  );

  it('exist', () => {
    const uses = named.flatMap(({ at, code }) =>
      [...code.matchAll(/^make ([a-z][a-z0-9-]*)/g)].map(([, target = '']) => ({ at, target })),
    );
    expect(uses.length).toBeGreaterThan(5);
    expect(uses.filter(({ target }) => !targets.has(target))).toEqual([]);
  });
});

describe('names in documents', () => {
  const sources = execFileSync(
    'git',
    [
      'grep',
      '-hoE',
      '[A-Z][A-Z0-9]*(_[A-Z0-9]+)+',
      '--',
      'src',
      'proto',
      'scripts',
      'test',
      'bench',
      'k8s',
      'Dockerfile',
      '*.yml',
    ],
    {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 64 * 2 ** 20,
    },
  );

  it('of environment variables, reasons and values of enums are those of the program', () => {
    const known = new Set(sources.split('\n'));
    // gRPC's own, which grpc-js names.
    for (const code of Object.keys(status)) known.add(code);
    for (const name of namesOfExamples()) known.add(name);
    const unknown = named.flatMap(({ at, code }) =>
      [...code.matchAll(/(?<![\w-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w*])/g)].flatMap(([name]) =>
        known.has(name) ? [] : [`${at}: ${name}`],
      ),
    );
    expect(unknown).toEqual([]);
  });

  it('of metrics are those of instruments', () => {
    const known = new Set(
      Object.values(INSTRUMENTS).flatMap((instrument) => {
        const name = prometheusName(instrument);
        return [name, ...(instrument.kind === 'histogram' ? [`${name}_count`, `${name}_sum`, `${name}_bucket`] : [])];
      }),
    );
    // A label of targets.
    known.add('troupe_cluster');
    const unknown = named.flatMap(({ at, code }) =>
      [...code.matchAll(/(?<![\w-])(?:troupe|process)_[a-z_]+(?![\w.*])/g)].flatMap(([name]) =>
        known.has(name) ? [] : [`${at}: ${name}`],
      ),
    );
    expect(unknown).toEqual([]);
  });
});

/** Reasons that agents of documents give. */
function namesOfExamples(): string[] {
  const blocks = documents.flatMap((document) => elementsOf(read(document)));
  return blocks.flatMap((block) =>
    block.kind === 'fence' && block.language === 'js' ? (block.text.match(/[A-Z]+(?:_[A-Z]+)+/g) ?? []) : [],
  );
}
