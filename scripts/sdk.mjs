// The public SDK, as the sources give it: every exported name with its type.
//
//   node scripts/sdk.mjs          writes docs/reference/sdk.api.md
//   node scripts/sdk.mjs --check  fails when that is not what the sources give
//   node scripts/sdk.mjs --types  writes dist/src/index.d.ts, the one file of types of the package (npm pack does)
//
// Every mode fails when a type that users meet has no exported name.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { ROOT, tool } from './lib/paths.mjs';

const REPORT = join(ROOT, 'docs', 'reference', 'sdk.api.md');
const TYPES = join(ROOT, 'dist', 'src', 'index.d.ts');
const WORK = join(ROOT, '.tools', 'sdk');

const mode = process.argv[2] ?? '--write';
if (!['--write', '--check', '--types'].includes(mode)) throw new Error(`${mode}: --check, --types or nothing`);

rmSync(WORK, { recursive: true, force: true });
emitDeclarations();
withoutCodecs(join(WORK, 'src', 'gen'));
const complaints = extract();
const report = readFileSync(join(WORK, 'report', 'sdk.api.md'), 'utf8');
if (complaints.length > 0) fail(complaints.join('\n'));
else if (mode === '--types') put(TYPES, typesOnly(readFileSync(join(WORK, 'index.d.ts'), 'utf8')));
else if (mode === '--write') put(REPORT, report);
else if (report !== current())
  fail(`${relative(ROOT, REPORT)} is not what the sources give: run \`npm run sdk\` and look at its diff`);
rmSync(WORK, { recursive: true, force: true });

/** Without what is marked @internal: constructors of what users only get. */
function emitDeclarations() {
  const config = join(WORK, 'tsconfig.json');
  const compilerOptions = { rootDir: ROOT, outDir: WORK, sourceMap: false, emitDeclarationOnly: true, stripInternal: true };
  put(
    config,
    JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files: [join(ROOT, 'src/index.ts')] }),
  );
  const { status } = spawnSync(process.execPath, [tool('tsc'), '-p', config], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

/** Of a generated message users have the shape; the codec beside it, of the same name, is ours. */
function withoutCodecs(folder) {
  for (const path of readdirSync(folder, { recursive: true })) {
    if (!path.endsWith('.d.ts')) continue;
    const file = join(folder, path);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^export declare const (\w+): MessageFns<\1>;$/gm, ''));
  }
}

/** The one file of types takes every export for a value: classes that index.ts exports as types are not. */
function typesOnly(text) {
  const exported = readFileSync(join(WORK, 'src', 'index.d.ts'), 'utf8');
  const names = [...exported.matchAll(/export( type)? \{([^}]*)\}/g)].flatMap(([, type, list]) =>
    list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (type !== undefined || name.startsWith('type ')))
      .map((name) => name.replace(/^type /, '').replace(/^.* as /, '')),
  );
  const classes = names.filter((name) => new RegExp(`^export declare (abstract )?class ${name}\\b`, 'm').test(text));
  const hidden = text.replace(/^export (declare (?:abstract )?class (\w+))/gm, (line, rest, name) =>
    classes.includes(name) ? rest : line,
  );
  return hidden.replace(/\nexport \{ \}\n$/, `\nexport type { ${classes.sort().join(', ')} };\n`);
}

/** Writes the report and one file of types to WORK; what is wrong with the surface. */
function extract() {
  const entry = join(WORK, 'src', 'index.d.ts');
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(ROOT, 'package.json'),
    configObject: {
      projectFolder: ROOT,
      mainEntryPointFilePath: entry,
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'ES2022',
            lib: ['ES2023'],
            types: ['node'],
            module: 'nodenext',
            strict: true,
            exactOptionalPropertyTypes: true,
            skipLibCheck: true,
          },
          files: [entry],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: 'sdk.api.md',
        reportFolder: join(WORK, 'report'),
        reportTempFolder: join(WORK, 'temporary'),
      },
      docModel: { enabled: false },
      tsdocMetadata: { enabled: false },
      dtsRollup: { enabled: true, untrimmedFilePath: join(WORK, 'index.d.ts') },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: { default: { logLevel: 'none' }, 'ae-forgotten-export': { logLevel: 'error' } },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
  });
  mkdirSync(join(WORK, 'report'), { recursive: true });
  const wrong = [];
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      if (message.logLevel === 'error') wrong.push(message.text);
      message.handled = true;
    },
  });
  return wrong;
}

function current() {
  try {
    return readFileSync(REPORT, 'utf8');
  } catch {
    return '';
  }
}

function put(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function fail(text) {
  console.error(text);
  process.exitCode = 1;
}
