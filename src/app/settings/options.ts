import { type Command, Option } from 'commander';
import { defaultOf, settingsOf } from './catalogue.js';
import type { FlagValue } from './resolve.js';
import { isNegated, type Role, type Setting } from './setting.js';

/** Gives a command the flags of a role's settings. They take any text: what is wrong is told together with the other sources. */
export function addSettings(command: Command, role: Role): Command {
  for (const [, setting] of settingsOf(role)) {
    const option = new Option(setting.flag, `${setting.descriptions?.[role] ?? setting.description}${notes(setting, role)}`);
    if (setting.repeatable) option.argParser(collect);
    command.addOption(option);
  }
  return command;
}

/** The flags that a command was given, by key. */
export function givenFlags(command: Command, role: Role): Readonly<Record<string, FlagValue>> {
  const given = settingsOf(role).flatMap(([key, setting]): [string, FlagValue][] => {
    if (command.getOptionValueSource(key) !== 'cli') return [];
    const value = command.getOptionValue(key) as string | readonly string[] | boolean;
    if (isNegated(setting) || typeof value === 'boolean') return [[key, true]];
    return [[key, typeof value === 'string' ? [value] : value]];
  });
  return Object.fromEntries(given);
}

/** `(one of a, b; default: a; env: TROUPE_A)`; not commander's own, which would read the environment by itself. */
function notes(setting: Setting, role: Role): string {
  const notes = [];
  const choices = /^must be one of (.+)$/.exec(setting.kind.allowed)?.[1];
  if (choices !== undefined) notes.push(`choices: ${choices}`);
  const fallback = defaultText(setting, role);
  if (fallback !== undefined && !isNegated(setting)) notes.push(`default: ${fallback}`);
  if (setting.env.length > 0) notes.push(`env: ${setting.env.join(' or ')}`);
  return notes.length === 0 ? '' : ` (${notes.join('; ')})`;
}

/** What a setting is when nobody says, for people. */
export function defaultText(setting: Setting, role: Role): string | undefined {
  if (setting.defaultText !== undefined) return textFor(setting.defaultText, role);
  const value = defaultOf(setting, role);
  return value === undefined ? undefined : setting.kind.show(value);
}

/** Of `node: none; dev: the example agents`, the part of one role. */
function textFor(text: string, role: Role): string {
  const own = new RegExp(`(?:^|; )${role}: ([^;]+)`).exec(text)?.[1];
  return (own ?? text).replace('<role>', role);
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
