import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/processes.js';
import { allDocuments, read } from './support/documents.js';
import { anchorsOf, linksOf } from './support/markdown.js';

const isAddress = (target: string) => /^(https?|mailto):/.test(target);

/** Where a link of a document points, from the root of the repository. */
function resolved(document: string, target: string): { readonly path: string; readonly anchor: string } {
  const [path = '', anchor = ''] = target.split('#');
  return { path: path === '' ? document : normalize(join(dirname(document), path)), anchor };
}

function whatIsWrong(document: string, target: string): string | undefined {
  const { path, anchor } = resolved(document, target);
  if (path.startsWith('..')) return 'is outside of the repository';
  if (!existsSync(join(ROOT, path))) return 'is not there';
  if (anchor === '') return undefined;
  return path.endsWith('.md') && anchorsOf(read(path)).has(anchor) ? undefined : 'has no such heading';
}

describe('links', () => {
  it('of all documents lead somewhere', () => {
    const broken = allDocuments().flatMap((document) =>
      linksOf(read(document))
        .filter(({ target }) => !isAddress(target))
        .flatMap(({ line, target }) => {
          const wrong = whatIsWrong(document, target);
          return wrong === undefined ? [] : [`${document}:${line}: ${target} ${wrong}`];
        }),
    );
    expect(broken).toEqual([]);
  });

  it('lead from the README to every document', () => {
    const reached = new Set<string>();
    const next = ['README.md'];
    for (let document = next.pop(); document !== undefined; document = next.pop()) {
      if (reached.has(document)) continue;
      reached.add(document);
      for (const { target } of linksOf(read(document))) {
        if (isAddress(target)) continue;
        const { path } = resolved(document, target);
        const file = existsSync(join(ROOT, path)) && statSync(join(ROOT, path)).isDirectory() ? join(path, 'README.md') : path;
        if (file.endsWith('.md') && existsSync(join(ROOT, file))) next.push(file);
      }
    }
    expect(allDocuments().filter((document) => !reached.has(document))).toEqual([]);
  });
});
