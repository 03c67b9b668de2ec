import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
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

/** A folder with the commands that documents call and the suite was given, for the PATH. */
export async function givenCommands(commands: Readonly<Record<string, string | undefined>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-docs-bin-'));
  cleanUp(() => rm(folder, { recursive: true, force: true }));
  for (const [name, path] of Object.entries(commands)) {
    if (path !== undefined) await symlink(path, join(folder, name));
  }
  return folder;
}
