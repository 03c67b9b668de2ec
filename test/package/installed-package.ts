import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { cleanUp } from '../support/clean-up.js';
import { ROOT, startProcess, type TestProcess } from '../support/processes.js';

/** What `npm install` may take when nothing is in its cache, ms. */
const INSTALL_MS = 240_000;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown> & {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** What `make package` made. */
export const TARBALL = join(ROOT, `troupe-${MANIFEST.version}.tgz`);
if (!existsSync(TARBALL)) throw new Error(`there is no ${TARBALL}; run \`make package\``);

/** The npm of this machine, which runs on every version of Node.js that is tested. */
const NPM = npmFolder();

/** A program to its end. */
export function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: undefined, NO_COLOR: '1', ...options.env };
    execFile(file, args, { ...options, env, timeout: INSTALL_MS, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

/** A folder of a user who has one version of Node.js; gone when the file of tests ends. */
export class Project {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'troupe user ')));
  private readonly env: NodeJS.ProcessEnv;

  constructor(
    private readonly node: string,
    files: Readonly<Record<string, string>> = {},
  ) {
    // Whatever runs `node` gets this one.
    this.env = { PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
    this.write({ 'package.json': '{"name":"user","private":true}\n', ...files });
    cleanUp(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  npm(...args: readonly string[]): Promise<Ran> {
    return run(this.node, [join(NPM, 'bin', 'npm-cli.js'), ...args], { cwd: this.folder, env: this.env });
  }

  install(...what: readonly string[]): Promise<Ran> {
    return this.npm('install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...what);
  }

  npx(...args: readonly string[]): Promise<Ran> {
    return run(this.node, [join(NPM, 'bin', 'npx-cli.js'), ...args], { cwd: this.folder, env: this.env });
  }

  /** Goes on until the test or the file ends. */
  startNpx(...args: readonly string[]): TestProcess {
    return startProcess(this.node, [join(NPM, 'bin', 'npx-cli.js'), ...args], { cwd: this.folder, env: this.env });
  }

  /** A program of the user's. */
  script(file: string, ...args: readonly string[]): Promise<Ran> {
    return run(this.node, [file, ...args], { cwd: this.folder, env: this.env });
  }
}

function npmFolder(): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const link = join(folder, 'npm');
    if (!existsSync(link)) continue;
    const beside = join(dirname(realpathSync(link)), '..');
    if (existsSync(join(beside, 'bin', 'npx-cli.js'))) return beside;
  }
  throw new Error('there is no npm on the PATH');
}
