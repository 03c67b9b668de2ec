import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** Seen from the sources, and from what they are compiled to. */
const PLACES = ['../../data/', '../../../../examples/data/'];

/** A file of `examples/data`, which comes with these agents wherever they run. */
export async function readOwnFile(name: string): Promise<string> {
  const urls = PLACES.map((place) => new URL(place + name, import.meta.url));
  const found = urls.find((url) => existsSync(url));
  if (found === undefined) throw new Error(`examples/data/${name} is missing; install the package again`);
  return readFile(found, 'utf8');
}
