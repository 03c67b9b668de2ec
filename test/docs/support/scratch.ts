import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanUp } from '../../support/clean-up.js';
import { ROOT } from '../../support/processes.js';

/** A folder that looks like a clone with a build, in which a reader may write. */
export async function scratchClone(): Promise<string> {
  const clone = await mkdtemp(join(tmpdir(), 'troupe-docs-'));
  cleanUp(() => rm(clone, { recursive: true, force: true, maxRetries: 5 }));
  for (const name of await readdir(ROOT)) {
    if (name === '.git' || name === '.tools') continue;
    if (name === 'examples') await cp(join(ROOT, name), join(clone, name), { recursive: true });
    else await symlink(join(ROOT, name), join(clone, name));
  }
  await mkdir(join(clone, '.tools'));
  return clone;
}

/** What npx does with a command that is installed, in a fraction of its time. */
const NPX = '#!/bin/sh\ncommand="$1"; shift\nexec "node_modules/.bin/$command" "$@"\n';

/** A folder for the PATH, with commands that documents call: those that the suite was given, and npx. */
export async function givenCommands(commands: Readonly<Record<string, string | undefined>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-docs-bin-'));
  cleanUp(() => rm(folder, { recursive: true, force: true }));
  for (const [name, path] of Object.entries(commands)) {
    if (path !== undefined) await symlink(path, join(folder, name));
  }
  await writeFile(join(folder, 'npx'), NPX, { mode: 0o755 });
  return folder;
}
