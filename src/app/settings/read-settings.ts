import type { Command } from 'commander';
import { UsageError } from '../../cli/errors.js';
import type { CliIo } from '../../cli/io.js';
import { printable } from '../../cli/printable.js';
import { messageOf } from '../../core/errors.js';
import { SETTINGS, type Values } from './catalogue.js';
import type { ConfigFile } from './config-file.js';
import { fileProblems, readStart } from './named-files.js';
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

/** What all sources say, whether right or wrong, also, unless `files` is false, of the files that they name. */
export async function resolveFor<R extends Role>(role: R, command: Command, io: CliIo, files = true): Promise<Resolution<R>> {
  const flags = givenFlags(command, role);
  const flag = flags.config;
  const [path, name] =
    typeof flag === 'object' ? [flag.at(-1) ?? '', '--config'] : [io.env.TROUPE_CONFIG || undefined, SETTINGS.config.env[0]];
  const file = path === undefined ? undefined : await readConfigFile(path, name);
  const resolution = resolveSettings(role, { flags, env: io.env, file });
  return files ? { ...resolution, problems: [...resolution.problems, ...(await fileProblems(used(resolution)))] } : resolution;
}

/** Without those of etcd where the store is another: they may lie ready. */
function used({ settings }: Resolution): Resolution['settings'] {
  const isEtcd = settings.some(({ key, value }) => key === 'store' && value === 'etcd');
  return settings.filter(({ key }) => isEtcd || !key.startsWith('etcd'));
}

/** What a file says; `givenBy` is named where it cannot be read. */
export async function readConfigFile(path: string, givenBy = ''): Promise<ConfigFile> {
  // The reader of YAML is loaded where there is a file: every start of every command would wait for it.
  const { MOST_BYTES, parseConfigFile } = await import('./config-file.js');
  try {
    return parseConfigFile(path, (await readStart(path, MOST_BYTES + 1)).toString('utf8'));
  } catch (error) {
    return {
      path,
      entries: [],
      problems: [`${givenBy === '' ? '' : `${givenBy} `}${path}: cannot be read: ${messageOf(error)}`],
    };
  }
}

export function printWarnings(io: CliIo, warnings: readonly string[]): void {
  for (const warning of warnings) io.stderr(`warning: ${printable(warning)}\n`);
}
