import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, tool } from './paths.mjs';

/** Descriptors of what was released, `v1.2.3.binpb`: outside of proto/, which is a module of buf. */
export const RELEASES = join(ROOT, 'releases');

/** The descriptor of the newest release in `folder`; undefined before the first. */
export function newestRelease(folder = RELEASES) {
  const versions = (existsSync(folder) ? readdirSync(folder) : [])
    .map((file) => /^v(\d+)\.(\d+)\.(\d+)\.binpb$/.exec(file))
    .filter((match) => match !== null)
    .sort(([, ...a], [, ...b]) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const file = versions.at(-1)?.[0];
  return file === undefined ? undefined : join(folder, file);
}

/** Writes the descriptor of the contracts of `root`. @throws when they do not compile. */
export function writeDescriptor(file, root = ROOT) {
  const { status, stderr } = buf(root, 'build', '--exclude-source-info', '-o', file);
  if (status !== 0) throw new Error(stderr);
}

/**
 * What breaks those who were built with `descriptor`, a line each. The public contracts as buf.yaml has it; troupe.internal is between
 * processes of which some are still of the last release while an upgrade rolls on: what is sent must stay readable.
 */
export function breaking(descriptor, root = ROOT) {
  const everything = JSON.stringify({
    version: 'v2',
    modules: [{ path: 'proto' }],
    breaking: { use: ['WIRE', 'RPC_NO_DELETE', 'PACKAGE_SERVICE_NO_DELETE'] },
  });
  return [...new Set([...compare(root, descriptor), ...compare(root, descriptor, '--config', everything)])];
}

function compare(root, descriptor, ...options) {
  const { status, stdout, stderr } = buf(root, 'breaking', '--against', descriptor, ...options);
  if (status === 0) return [];
  const lines = stdout.split('\n').filter((line) => line !== '');
  if (lines.length === 0) throw new Error(`buf breaking: ${stderr}`);
  return lines;
}

function buf(cwd, ...args) {
  return spawnSync(tool('buf'), args, { cwd, encoding: 'utf8' });
}
