import { runTroupe } from './run-command.js';

/** What a command of the program can be told, by its own help. */
export interface Settings {
  readonly flags: ReadonlySet<string>;
  readonly env: ReadonlySet<string>;
}

const known = new Map<string, Promise<Settings>>();

/** Of `troupe registry`, `troupe scale advise` and so on; `''` is the program itself. @throws when there is no such command. */
export function settingsOf(command: string): Promise<Settings> {
  let settings = known.get(command);
  if (settings === undefined) {
    settings = readHelp(command);
    known.set(command, settings);
  }
  return settings;
}

async function readHelp(command: string): Promise<Settings> {
  const { code, stdout, stderr } = await runTroupe([...command.split(' ').filter((word) => word !== ''), '--help']);
  // The program's own help is what an unknown command gets.
  if (code !== 0 || !new RegExp(`^Usage: troupe ${command}`).test(stdout)) {
    throw new Error(`there is no command "troupe ${command}"\n${stderr}`);
  }
  const flags = new Set<string>();
  // Before the examples, and only where options are listed: other text may name flags that do not exist.
  for (const [, short, long] of stdout.matchAll(/^ {2}(?:(-\w), )?(--[a-z][a-z0-9-]*)/gm)) {
    if (short !== undefined) flags.add(short);
    if (long !== undefined) flags.add(long);
  }
  // Lines are wrapped at blanks only, so that a name is never cut.
  return { flags, env: new Set([...stdout.matchAll(/\benv:\s+(TROUPE_[A-Z0-9_]+)/g)].map(([, name]) => name as string)) };
}

/** Variables of the platform, which the program has not defined, but whose meaning it keeps. */
const OF_OTHERS = new Set(['NODE_OPTIONS', 'NODE_ENV', 'NO_COLOR', 'OTEL_EXPORTER_OTLP_ENDPOINT', 'TZ', 'SSL_CERT_FILE']);

/** How a process is started: what comes after the entry point `troupe`, and the names of its environment. */
export interface StartedAs {
  readonly args: readonly string[];
  readonly env: readonly string[];
}

/** A sentence for each flag and each variable that the command which `args` begin with does not know. Empty: all exist. */
export async function unknownSettings({ args, env }: StartedAs): Promise<string[]> {
  const [command = '', ...rest] = args;
  const settings = await settingsOf(command);
  const wrong: string[] = [];
  for (const arg of rest) {
    const [, flag] = /^(--?[A-Za-z][a-z0-9-]*)/.exec(arg) ?? [];
    if (flag !== undefined && !settings.flags.has(flag)) wrong.push(`troupe ${command} has no flag ${flag}`);
  }
  for (const name of env) {
    if (!settings.env.has(name) && !OF_OTHERS.has(name)) wrong.push(`troupe ${command} does not read ${name}`);
  }
  return wrong;
}
