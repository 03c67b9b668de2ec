// Writes docs/reference/ (or the folder that is named) from the code: configuration.md from the catalogue of settings, command.md
// from the command. With --check it changes nothing, and fails when they are not what the code gives. Needs dist/, which `make
// build` gives.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { ROOT } from './lib/paths.mjs';
import { commandReference } from './lib/reference-command.mjs';
import { configurationReference } from './lib/reference-configuration.mjs';

const DIST = join(ROOT, 'dist', 'src');
const { values, positionals } = parseArgs({ options: { check: { type: 'boolean', default: false } }, allowPositionals: true });
const FOLDER = resolve(ROOT, positionals[0] ?? 'docs/reference');
const NAME = relative(ROOT, FOLDER);

if (existsSync(join(DIST, 'app', 'main.js'))) await run();
else {
  console.error('there is no dist/; run `make build`');
  process.exitCode = 1;
}

async function run() {
  const fresh = {
    'configuration.md': configurationReference({
      ...(await load('app/settings/catalogue.js')),
      ...(await load('app/settings/setting.js')),
      ...(await load('app/settings/options.js')),
    }),
    'command.md': commandReference(await theProgram()),
  };
  const changed = Object.keys(fresh).filter((name) => present(name) !== fresh[name]);
  if (values.check) check(changed);
  else write(fresh, changed);
}

function check(changed) {
  if (changed.length === 0) return console.log(`${NAME} is what the code gives`);
  for (const name of changed) console.error(`reference drift: ${NAME}/${name} differs from what the code gives`);
  console.error('run `make reference` and commit the result');
  process.exitCode = 1;
}

function write(fresh, changed) {
  for (const name of changed) {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(join(FOLDER, name), fresh[name]);
  }
  console.log(`${NAME}: ${Object.keys(fresh).length} files, ${changed.length} written`);
}

function present(name) {
  const path = join(FOLDER, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

async function theProgram() {
  const { buildProgram } = await load('cli/program.js');
  const { APP_COMMANDS } = await load('app/commands/all.js');
  let printed = '';
  const io = {
    stdout: (text) => {
      printed += text;
    },
    stderr: () => undefined,
    isTTY: false,
    env: {},
    signal: new AbortController().signal,
    version: '',
  };
  const textAfter = (command) => {
    printed = '';
    command.outputHelp();
    return printed.slice(command.helpInformation().length);
  };
  return { program: buildProgram(io, APP_COMMANDS), textAfter };
}

function load(path) {
  return import(pathToFileURL(join(DIST, path)).href);
}
