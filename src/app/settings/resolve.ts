import { defaultOf, settingsOf, type Values } from './catalogue.js';
import type { ConfigFile, FileEntry } from './config-file.js';
import { type Environment, environmentWarnings, isServiceLink } from './environment.js';
import type { Parsed } from './kind.js';
import { type Claim, type Resolution, type ResolvedSetting, type Source, sourceName } from './resolution.js';
import { togetherProblems } from './rules.js';
import { flagName, isNegated, type Role, type Setting } from './setting.js';
import { quoted } from './show.js';

/** What a flag was given: nothing but the flag itself, or its values in order. */
export type FlagValue = true | readonly string[];

export interface Sources {
  /** By key: those that were given. */
  readonly flags: Readonly<Record<string, FlagValue>>;
  readonly env: Environment;
  readonly file?: ConfigFile | undefined;
}

/**
 * Every setting of a role from its sources: flag before environment before file (its section before the rest) before default.
 * What is malformed is a problem also where a stronger source overrules it: it would count as soon as that is gone.
 */
export function resolveSettings<R extends Role>(role: R, sources: Sources): Resolution<R> {
  const problems: string[] = [];
  const settings = settingsOf(role).map(([key, setting]) => {
    const claims: Claim[] = [];
    for (const { source, given, parsed } of givenTo(role, key, setting, sources)) {
      if (parsed.ok) claims.push({ source, value: parsed.value });
      // What others share (OTEL_…) may have forms that only they know: it is their affair as long as nobody needs it.
      else if (claims.length === 0 || !isForeign(source))
        problems.push(`${sourceName(source)} is ${quoted(setting, given)}: ${parsed.why}`);
    }
    return resolved(key, setting, claims, defaultOf(setting, role));
  });
  const wrong = [...problems, ...(sources.file?.problems ?? [])];
  return {
    role,
    settings,
    // What does not fit together is told of values that are right in themselves.
    problems: wrong.length > 0 ? wrong : togetherProblems(settings),
    warnings: environmentWarnings(sources.env),
  };
}

/** @throws RangeError where there are problems. */
export function valuesOf<R extends Role>({ settings, problems }: Resolution<R>): Values<R> {
  if (problems.length > 0) throw new RangeError('settings with problems have no values');
  return Object.fromEntries(settings.map(({ key, value }) => [key, value])) as Values<R>;
}

interface Given {
  readonly source: Source;
  readonly given: unknown;
  readonly parsed: Parsed<unknown>;
}

/** All that was said about a setting, the strongest first. */
function givenTo(role: Role, key: string, setting: Setting, { flags, env, file }: Sources): readonly Given[] {
  const { kind } = setting;
  const given: Given[] = [];
  const flag = flags[key];
  if (flag !== undefined) {
    const name = flagName(setting);
    const text = flag === true ? true : flag.join(',');
    const parsed: Parsed<unknown> = text === true ? { ok: true, value: !isNegated(setting) } : kind.parse(text);
    given.push({ source: { kind: 'flag', name }, given: text, parsed });
  }
  for (const name of setting.env) {
    const text = env[name];
    if (text === undefined || text === '' || isServiceLink(name, text)) continue;
    const parsed = kind.parse(text);
    const value: Parsed<unknown> = parsed.ok && isNegated(setting) ? { ok: true, value: !parsed.value } : parsed;
    given.push({ source: { kind: 'env', name }, given: text, parsed: value });
  }
  const entries = (file?.entries ?? []).filter((entry) => entry.key === key);
  for (const section of [role, undefined]) {
    const entry = entries.find((each) => each.section === section);
    if (file === undefined || entry === undefined) continue;
    given.push({ source: sourceOf(file.path, entry), given: entry.value, parsed: { ok: true, value: entry.value } });
  }
  return given;
}

/** Where in a file an entry stands. */
export function sourceOf(path: string, { key, section, line }: FileEntry): Source {
  return { kind: 'file', path, line, key: section === undefined ? key : `${section}.${key}` };
}

function resolved(key: string, setting: Setting, claims: readonly Claim[], fallback: unknown): ResolvedSetting {
  const [first, ...rest] = claims;
  if (first === undefined) return { key, setting, source: { kind: 'default' }, value: fallback, overrode: [] };
  const text = setting.kind.show(first.value);
  return { key, setting, ...first, overrode: rest.filter(({ value }) => setting.kind.show(value) !== text) };
}

function isForeign(source: Source): boolean {
  return source.kind === 'env' && !source.name.startsWith('TROUPE_');
}
