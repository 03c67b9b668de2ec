import { createRequire } from 'node:module';

/** By the package's own name, so that it is found from the sources as from what is built of them. */
const manifest = createRequire(import.meta.url)('troupe/package.json') as { readonly version: string };

/** The version of Troupe that runs. */
export const VERSION = manifest.version;
