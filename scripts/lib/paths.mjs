import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The path of a development tool's JavaScript entry or link. */
export function tool(name) {
  return join(ROOT, 'node_modules', '.bin', name);
}
