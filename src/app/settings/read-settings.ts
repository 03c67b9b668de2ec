import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from '../../cli/errors.js';
import type { CliIo } from '../../cli/io.js';
import { printable } from '../../cli/printable.js';
import { messageOf } from '../../core/errors.js';
import { SETTINGS, type Values } from './catalogue.js';
import type { ConfigFile } from './config-file.js';
import { givenFlags } from './options.js';
import type { Resolution } from './resolution.js';
import { resolveSettings, valuesOf } from './resolve.js';
import type { Role } from './setting.js';

export interface Settings<R extends Role> {
  readonly values: Values<R>;
  readonly resolution: Resolution<R>;
}

/** The settings that a role was started with. Warns on standard error. @throws UsageError that tells all that is wrong. */
export async function readSettings<R extends Role>(role: R, command: Command, io: CliIo): Promise<Settings<R>> {
  const resolution = await resolveFor(role, command, io);
  // The processes of `troupe dev`, which have a channel to it, have its environment: it has said that already.
  if (process.channel === undefined) printWarnings(io, resolution.warnings);
  if (resolution.problems.length > 0) throw new UsageError(resolution.problems.join('; '), `run \`troupe ${role} --help\``);
  return { resolution, values: valuesOf(resolution) };
}

/** What all sources say, whether right or wrong. */
export async function resolveFor<R extends Role>(role: R, command: Command, io: CliIo): Promise<Resolution<R>> {
  const flags = givenFlags(command, role);
  const flag = flags.config;
  const [path, name] =
    typeof flag === 'object' ? [flag.at(-1) ?? '', '--config'] : [io.env.TROUPE_CONFIG || undefined, SETTINGS.config.env[0]];
  return resolveSettings(role, { flags, env: io.env, file: path === undefined ? undefined : await readConfigFile(path, name) });
}

/** What a file says; `givenBy` is named where it cannot be read. */
export async function readConfigFile(path: string, givenBy = ''): Promise<ConfigFile> {
  // The reader of YAML is loaded where there is a file: every start of every command would wait for it.
  const { MOST_BYTES, parseConfigFile } = await import('./config-file.js');
  try {
    return parseConfigFile(path, await readStart(path, MOST_BYTES + 1));
  } catch (error) {
    return {
      path,
      entries: [],
      problems: [`${givenBy === '' ? '' : `${givenBy} `}${path}: cannot be read: ${messageOf(error)}`],
    };
  }
}

/** Not all of it: a device or a log may be given by a slip. */
async function readStart(path: string, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { end: mostBytes - 1 })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export function printWarnings(io: CliIo, warnings: readonly string[]): void {
  for (const warning of warnings) io.stderr(`warning: ${printable(warning)}\n`);
}
