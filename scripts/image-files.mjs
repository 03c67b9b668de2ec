// Lays out what the image holds of Troupe, after the build and without development dependencies: `node scripts/image-files.mjs <root>`.
// Declarations, source maps, sources and manuals stay behind; licences go with the code that they are about.
import { chmodSync, copyFileSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './lib/paths.mjs';

const HOME = '/opt/troupe';
const COMMAND = `${HOME}/dist/src/app/main.js`;

const CODE = /(?<!\.d)\.([cm]?js|json|node|proto|wasm)$/;
const LICENCE = /(^|\/)(licen[cs]e|notice|copying)[^/]*$/i;
const TYPES = /(^|\/)(@types|undici-types)\//;
const HIDDEN = /(^|\/)\./;

const [root] = process.argv.slice(2);
if (root === undefined) throw new Error('usage: node scripts/image-files.mjs <root>');

take('package.json', 'LICENSE');
takeTree('dist', (path) => !/\.(d\.ts|map)$/.test(path));
takeTree('examples', (path) => /^(agents\/[^/]+\.mjs|data\/.*)$/.test(path));
takeTree('node_modules', (path) => (CODE.test(path) || LICENCE.test(path)) && !TYPES.test(path) && !HIDDEN.test(path));
chmodSync(join(root, COMMAND), 0o755);
link(COMMAND, '/usr/local/bin/troupe');
// An agent's module, wherever it lies, finds the Troupe that runs it.
link(HOME, '/node_modules/troupe');

function takeTree(folder, wanted) {
  for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name).slice(ROOT.length + 1);
    if (wanted(path.slice(folder.length + 1))) take(path);
  }
}

function take(...paths) {
  for (const path of paths) {
    const to = join(root, HOME, path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(ROOT, path), to);
    chmodSync(to, 0o644);
  }
}

function link(target, path) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}
