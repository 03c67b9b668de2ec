import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from '../../support/processes.js';

export const read = (document: string) => readFileSync(join(ROOT, document), 'utf8');

/** Every Markdown file of the repository, as a path from its root. */
export function allDocuments(): string[] {
  const folders = ['docs', 'bench', 'test', 'examples', 'k8s', 'proto'];
  return [ROOT, ...folders.map((folder) => join(ROOT, folder))]
    .flatMap((folder) => markdownIn(folder, folder !== ROOT))
    .map((path) => relative(ROOT, path))
    .sort();
}

/** Those whose commands are run: the README, and what is for users in docs/. */
export function followedDocuments(): string[] {
  const inDocs = [join(ROOT, 'docs'), join(ROOT, 'docs', 'guides')].flatMap((folder) => markdownIn(folder, false));
  return ['README.md', ...inDocs.map((path) => relative(ROOT, path))];
}

function markdownIn(folder: string, recursive: boolean): string[] {
  try {
    return readdirSync(folder, { recursive })
      .map(String)
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name))
      .sort();
  } catch {
    return [];
  }
}
